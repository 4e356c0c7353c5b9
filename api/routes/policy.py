"""The routes about rules: which are in service, what lint says, what a candidate would change."""

from __future__ import annotations

from flask import Response, g
from flask_openapi3.models.tag import Tag

from api.auth import requires
from api.limits import PACK_BODY, body_limit
from api.openapi import Resource
from api.schemas.policy import (
    Backtest,
    BacktestBody,
    BacktestPath,
    LintBody,
    LintReport,
    PackName,
    PackPath,
    Packs,
    PackVersion,
    PackVersions,
)
from api.wiring import services
from engine.backtesting import Candidate
from engine.domain.errors import PolicyError, UnknownReference
from engine.domain.pack_life import Actor
from engine.ledger.keys import Scope
from engine.policy.decisions import CATALOGUES
from engine.policy.lint import lint_pack

api = Resource("policy", __name__, url_prefix="/v1/policy", abp_tags=[Tag(name="Policy")])


@api.get("/packs", responses={200: Packs})
@requires(Scope.POLICY_READ)
def packs() -> Packs:
    """Tell which versions decide, which run beside them and what is in effect now."""
    policy = services().policy
    return Packs(
        enforced=[PackName.of(ref) for ref in policy.packs()],
        shadows=[PackName.of(ref) for ref in policy.shadows()],
        in_effect={decision: _in_effect(decision) for decision in CATALOGUES},
    )


@api.get("/packs/<pack>/versions", responses={200: PackVersions})
@requires(Scope.POLICY_READ)
def versions(path: PackPath) -> PackVersions:
    """List every stored version of a pack with its state, its author and its approver."""
    found = services().shipping.versions(path.pack)
    if not found:
        raise UnknownReference("no version of such a pack is kept", "see /v1/policy/packs")
    return PackVersions(pack=path.pack, versions=[PackVersion.of(one) for one in found])


@api.post("/lint", responses={200: LintReport})
@requires(Scope.POLICY_READ)
@body_limit(PACK_BODY)
def lint(body: LintBody) -> LintReport:
    """Examine a pack; what is wrong with it is the answer, not an error."""
    return LintReport.of(lint_pack(body.text, body.file, services().policy.reasons))


@api.post("/backtests", responses={202: Backtest})
@requires(Scope.POLICY_WRITE)
@body_limit(PACK_BODY)
def begin_backtest(body: BacktestBody) -> Response:
    """Begin to replay recorded decisions under a candidate; `Location` tells how it goes.

    The report on a stored version is kept with that version.
    """
    actor = Actor(g.api_key.key_id, g.api_key.name)
    job = services().backtesting.begin(_candidate(body), *body.window, actor)
    answer = Backtest.of(job).model_dump_json()
    place = {"Location": f"/v1/policy/backtests/{job.backtest}"}
    return Response(answer, 202, place, content_type="application/json")


@api.get("/backtests/<backtest>", responses={200: Backtest})
@requires(Scope.POLICY_READ)
def show_backtest(path: BacktestPath) -> Backtest:
    """Tell how a backtest goes, and its report once it is done; any worker can tell."""
    return Backtest.of(services().backtesting.find(path.backtest))


def _in_effect(decision: str) -> PackName | None:
    try:
        return PackName.of(services().policy.in_effect(decision, services().clock()))
    except PolicyError:
        return None


def _candidate(body: BacktestBody) -> Candidate:
    backtesting = services().backtesting
    if body.text is not None:
        return backtesting.candidate(body.text)
    return backtesting.stored(body.pack or "", body.version or 0)
