"""The route that decides on facts the caller gives."""

from __future__ import annotations

from collections import Counter

from flask import Response, g
from flask_openapi3.models.tag import Tag

from api.auth import requires
from api.limits import EVALUATE_BODY, body_limit
from api.metrics import current_metrics
from api.openapi import Resource
from api.problems import FieldProblem, InvalidFields, pointer
from api.schemas.evaluations import DecisionPath, EvaluateBody, Evaluations, written
from api.wiring import services
from engine.domain.errors import NotPermitted
from engine.evaluating import Evaluation, FactsRefused, NoPackThen
from engine.ledger.keys import Scope

api = Resource("evaluate", __name__, url_prefix="/v1/policy", abp_tags=[Tag(name="Policy")])


@api.post("/<decision>/evaluate", responses={200: Evaluations})
@requires(Scope.POLICY_EVALUATE)
@body_limit(EVALUATE_BODY)
def evaluate(path: DecisionPath, body: EvaluateBody) -> Response:
    """Decide on given facts, up to 1,000 sets at once; every decision is logged.

    One set that does not fit the catalogue refuses the whole request and nothing is logged.
    A denial is an answer, not an error.
    """
    reads_policy = g.api_key.permits(Scope.POLICY_READ)
    if body.explain and not reads_policy:
        raise NotPermitted("an explanation asks for policy:read", "leave `explain` out")
    evaluation = _evaluation(path.decision, body)
    _count(path.decision, evaluation)
    answer = written(evaluation, services().policy, body.language, reads_policy)
    return Response(answer, content_type="application/json")


def _evaluation(decision: str, body: EvaluateBody) -> Evaluation:
    try:
        return services().evaluating.evaluate(
            decision, body.facts, services().clock(), body.as_of, body.explain
        )
    except NoPackThen as error:
        raise InvalidFields([FieldProblem(field="/at", message=error.message)]) from None
    except FactsRefused as error:
        raise InvalidFields(
            [
                FieldProblem(field=_pointer(index, fault.fact), message=fault.why)
                for index, fault in error.faults
            ]
        ) from None


def _pointer(index: int, fact: str) -> str:
    return pointer(("facts", index, fact) if fact else ("facts", index))


def _count(decision: str, evaluation: Evaluation) -> None:
    verdicts = [record.verdict for record in evaluation.records]
    one_of = {id(verdict): verdict for verdict in verdicts}
    counted: Counter[tuple[str, str | None]] = Counter()
    for which, times in Counter(map(id, verdicts)).items():
        verdict = one_of[which]
        for reason in verdict.reasons or (None,):
            counted[verdict.effect.value, reason] += times
    for (effect, reason), times in counted.items():
        current_metrics().decided(decision, effect, [reason] if reason else (), times)
