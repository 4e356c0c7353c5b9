"""The append-only catalogue of reasons: what anyone may be told, in English and Chinese."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from engine.domain.errors import PackInvalid, UnknownReference
from engine.domain.verdicts import PublicReason
from engine.policy.pack_shape import Code, Sentence
from engine.policy.packs import Pack
from engine.policy.yaml_shape import read_shape
from engine.policy.yaml_text import YamlText, read_yaml

REASONS_FILE = "reasons.yaml"
"""The file of a rules folder that holds no pack but the reason catalogue."""

LANGUAGES = ("en", "zh")
"""The languages every reason is written in; the first is the fallback."""


class _Shape(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)


class _Wording(_Shape):
    text: Sentence
    next_step: Sentence


class _ReasonShape(_Shape):
    code: Code
    discreet: bool = False
    shown_as: Code | None = None
    given_by: Literal["rules", "models", "nobody"] = "rules"
    en: _Wording
    zh: _Wording


class _ReasonsShape(_Shape):
    reasons: Annotated[list[_ReasonShape], Field(min_length=1)]


@dataclass(frozen=True, slots=True)
class Reason:
    """One reason by language.

    A `discreet` reason rests on something the reader must not learn (a block, an age, an abuse
    limit, chance): it is told only where no other reason is, and under the code `shown_as`.
    `given_by` says who gives it: rules, models (and the jobs that ask them), or nobody any more,
    since a code is never taken out.
    """

    code: str
    discreet: bool
    shown_as: str
    given_by: str
    wording: Mapping[str, PublicReason]


class ReasonCatalogue:
    """All reasons by code."""

    def __init__(self, reasons: Iterable[Reason]) -> None:
        self._reasons = {reason.code: reason for reason in reasons}

    def __contains__(self, code: object) -> bool:
        return code in self._reasons

    @property
    def codes(self) -> tuple[str, ...]:
        """All codes, in the order in which they were added."""
        return tuple(self._reasons)

    def ungiven(self, given: Collection[str]) -> tuple[str, ...]:
        """Return the codes that rules should give, where the rules give `given`, and none does.

        A code that stands for one that is given is given with it.
        """
        used = {
            reason.shown_as
            for reason in self._reasons.values()
            if reason.code in given or reason.given_by == "models"
        }
        return tuple(
            reason.code
            for reason in self._reasons.values()
            if reason.given_by == "rules" and reason.code not in used.union(given)
        )

    def public(self, codes: Iterable[str], language: str) -> list[PublicReason]:
        """Return what anyone may be told of `codes`.

        Parameters
        ----------
        codes
            Reason codes of a verdict or a model, in order.
        language
            A language tag; `zh-CN` is read as `zh`, and English stands in for what is not here.

        Returns
        -------
        list[PublicReason]
            Without doubles. Discreet reasons are left out beside any other, so the answer is the
            same with and without what they rest on wherever the verdict is.

        Raises
        ------
        UnknownReference
            If a code is not in the catalogue.
        """
        found = [self._reason(code) for code in codes]
        open_ones = [reason for reason in found if not reason.discreet]
        shown = dict.fromkeys(reason.shown_as for reason in open_ones or found)
        wanted = language.lower().replace("_", "-").split("-")[0]
        spoken = wanted if wanted in LANGUAGES else LANGUAGES[0]
        return [self._reasons[code].wording[spoken] for code in shown]

    def _reason(self, code: str) -> Reason:
        try:
            return self._reasons[code]
        except KeyError:
            raise UnknownReference(
                f"no reason has the code {code!r}", "add it to rules/reasons.yaml"
            ) from None


def read_reasons(text: str, file: str) -> ReasonCatalogue:
    """Read the reason catalogue from YAML.

    Raises
    ------
    PackInvalid
        If it is not understood; the message begins with `file:line:column`.
    """
    return reasons_of(read_yaml(text, file))


def reasons_of(document: YamlText) -> ReasonCatalogue:
    """Read the reason catalogue from its YAML document; see `read_reasons`."""
    shape = read_shape(document, _ReasonsShape)
    known: set[str] = set()
    for index, reason in enumerate(shape.reasons):
        if reason.code in known:
            raise PackInvalid(
                f"{document.where(('reasons', index, 'code'))}: {reason.code} stands twice",
                "a code keeps its meaning: add a new one",
            )
        known.add(reason.code)
    coarse = {reason.code for reason in shape.reasons if reason.shown_as is None}
    for index, reason in enumerate(shape.reasons):
        if reason.shown_as is not None and reason.shown_as not in coarse:
            raise PackInvalid(
                f"{document.where(('reasons', index, 'shown_as'))}: "
                f"{reason.code} is shown as {reason.shown_as}, which is no code shown as itself",
                "name a code of this file that has no shown_as",
            )
    return ReasonCatalogue(map(_reason, shape.reasons))


def check_reasons(pack: Pack, reasons: ReasonCatalogue) -> None:
    """Do nothing if `reasons` holds every reason of `pack`.

    Raises
    ------
    PackInvalid
        For the first reason that it does not hold.
    """
    for rule in pack.rules:
        if rule.outcome.reason is not None and rule.outcome.reason not in reasons:
            raise PackInvalid(
                f"{rule.written_at}: the rule {rule.id!r} gives the unknown reason "
                f"{rule.outcome.reason}",
                f"add it to {REASONS_FILE}",
            )


def _reason(shape: _ReasonShape) -> Reason:
    return Reason(
        code=shape.code,
        discreet=shape.discreet,
        shown_as=shape.shown_as or shape.code,
        given_by=shape.given_by,
        wording={
            language: PublicReason(shape.code, wording.text, wording.next_step)
            for language, wording in (("en", shape.en), ("zh", shape.zh))
        },
    )
