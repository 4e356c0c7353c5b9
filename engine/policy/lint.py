"""Lint: everything that can be said against packs without running them."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from pathlib import Path

from engine.domain.clock import format_time
from engine.domain.errors import PackInvalid, PolicyError
from engine.policy.catalogue import FactCatalogue
from engine.policy.compiling import alternatives, check_compilable
from engine.policy.decisions import CATALOGUES
from engine.policy.findings import Finding, finding, finding_of
from engine.policy.folder import NOT_READ, RENAME, strays_in, text_of
from engine.policy.pack_shape import PackShape
from engine.policy.packs import MOST_FAULTS, Pack, examine_document
from engine.policy.ready_pack import ReadyPack
from engine.policy.reasons import REASONS_FILE, ReasonCatalogue, reasons_of
from engine.policy.rule_findings import rule_findings
from engine.policy.vocabulary import vocabulary_of
from engine.policy.yaml_shape import shape_faults
from engine.policy.yaml_text import YamlText, read_yaml


def lint_pack(
    text: str,
    file: str,
    reasons: ReasonCatalogue | None,
    catalogues: Mapping[str, FactCatalogue] = CATALOGUES,
) -> list[Finding]:
    """Return what can be said against one pack.

    Parameters
    ----------
    text
        The pack as YAML.
    file
        Its name, for the findings.
    reasons
        What rules may give as a reason; None leaves that unchecked.
    catalogues
        The decisions that exist, with their facts.

    Returns
    -------
    list[Finding]
        In the order of the file, at one place the gravest first; nothing is raised. It is the
        same for the same text whatever the time or the machine.
    """
    return sorted(_read(text, file, reasons, catalogues).findings, key=_order)


def lint_folder(
    folder: Path, catalogues: Mapping[str, FactCatalogue] = CATALOGUES
) -> list[Finding]:
    """Return what can be said against every `*.yaml` of `folder`: packs and reasons.

    Beyond what `lint_pack` finds in each pack: packs that hold at the same time, and reasons that
    no rule gives. Nothing is raised.
    """
    reasons_file = folder / REASONS_FILE
    reasons, written = None, None
    try:
        reasons, written, found = _read_reasons(text_of(reasons_file), str(reasons_file))
    except PolicyError as error:
        found = [finding_of(error, "UNREADABLE", f"{reasons_file}:1:1")]
    read: list[_Read] = []
    for path in sorted(folder.glob("*.yaml")):
        if path.name == REASONS_FILE:
            continue
        try:
            read.append(_read(text_of(path), str(path), reasons, catalogues))
        except PolicyError as error:
            found.append(finding_of(error, "UNREADABLE", f"{path}:1:1"))
    found.extend(
        finding("UNREADABLE", f"{path}:1:1", NOT_READ, RENAME) for path in strays_in(folder)
    )
    if not read:
        found.append(
            finding("NO_PACKS", f"{folder}:1:1", "there are no rule packs", "check LISHANG_RULES")
        )
    for each in read:
        found.extend(each.findings)
    found.extend(_overlaps(read))
    if reasons is not None and written is not None:
        found.extend(_ungiven(reasons, read, written))
    return sorted(found, key=_order)


def lint_reasons(text: str, file: str) -> list[Finding]:
    """Return what is wrong with a reason catalogue by itself."""
    return _read_reasons(text, file)[2]


_OURS = re.compile(r"ours\b", re.IGNORECASE)
"""How the source of a product's own choice begins."""

_NAMED_PARAM = re.compile(r"\bparams\.([a-z0-9_]+)\b")


@dataclass(frozen=True, slots=True)
class _Read:
    """A pack as far as it could be read."""

    text: str
    document: YamlText | None
    pack: Pack | None
    whole: bool
    """Whether every rule was understood."""
    findings: Sequence[Finding]


def _order(found: Finding) -> tuple[str, int, int, int, str, str]:
    return (*found.place, found.severity.rank, found.code, found.message)


def _read(
    text: str,
    file: str,
    reasons: ReasonCatalogue | None,
    catalogues: Mapping[str, FactCatalogue],
) -> _Read:
    try:
        document = read_yaml(text, file)
    except PackInvalid as error:
        return _Read(text, None, None, False, [finding_of(error, "NOT_YAML", f"{file}:1:1")])
    faults = shape_faults(document, PackShape)
    pack = None
    if not faults:
        try:
            pack, faults = examine_document(document, catalogues)
        except PackInvalid as error:
            faults = [error]
    found = _refusals(faults, document)
    if pack is not None:
        found.extend(_judged(pack, document, reasons, catalogues[pack.decides], not faults))
    return _Read(text, document, pack, not faults, found)


def _judged(
    pack: Pack,
    document: YamlText,
    reasons: ReasonCatalogue | None,
    catalogue: FactCatalogue,
    whole: bool,
) -> Iterator[Finding]:
    """Yield what is wrong with the rules that were understood."""
    too_large = dict(_too_large(pack))
    yield from too_large.values()
    rules = tuple(rule for place, rule in enumerate(pack.rules) if place not in too_large)
    fitting = replace(pack, rules=rules)
    overfull = list(_overfull(fitting))
    yield from overfull
    if whole and not too_large and not overfull:
        yield from _refused_by_the_engine(pack, catalogue)
    if reasons is not None:
        yield from _unknown_reasons(pack, reasons)
    yield from _cites(pack)
    yield from _unused_params(pack, document, whole)
    if not overfull:
        yield from rule_findings(fitting, vocabulary_of(catalogue))


def _refusals(faults: Sequence[PackInvalid], document: YamlText) -> list[Finding]:
    """Return faults of reading as findings, each with the rule that it lies in."""
    rules = document.value.get("rules") if isinstance(document.value, dict) else None
    written = rules if faults and isinstance(rules, list) else []
    marks = [document.nodes["rules", index].start_mark for index in range(len(written))]
    starts = [(mark.line + 1, mark.column + 1) for mark in marks]
    told = []
    for fault in faults[:MOST_FAULTS]:
        found = finding_of(fault, fault.fault, f"{document.file}:1:1")
        _, line, column = found.place
        place = bisect_right(starts, (line, column)) - 1
        if place >= 0:
            end = document.nodes["rules", place].end_mark
            one = written[place]
            named = one.get("id") if isinstance(one, dict) else None
            if (line, column) < (end.line + 1, end.column + 1) and isinstance(named, str):
                found = replace(found, rule=named)
        told.append(found)
    if len(faults) > MOST_FAULTS:
        more = f"{told[-1].message}; there are more faults than these {MOST_FAULTS}"
        told[-1] = replace(told[-1], message=more)
    return told


def _too_large(pack: Pack) -> Iterator[tuple[int, Finding]]:
    """Yield the index of each rule that cannot be compiled, and why."""
    for place, rule in enumerate(pack.rules):
        try:
            alternatives(rule)
        except PackInvalid as error:
            yield place, finding_of(error, error.fault, rule.written_at, rule.id)


def _overfull(pack: Pack) -> Iterator[Finding]:
    try:
        check_compilable(pack)
    except PackInvalid as error:
        yield finding_of(error, error.fault, f"{pack.file}:1:1")


def _refused_by_the_engine(pack: Pack, catalogue: FactCatalogue) -> Iterator[Finding]:
    try:
        ReadyPack(pack, catalogue).close()
    except PolicyError as error:
        yield finding_of(error, "ENGINE_REFUSES", f"{pack.file}:1:1")


def _unknown_reasons(pack: Pack, reasons: ReasonCatalogue) -> Iterator[Finding]:
    for rule in pack.rules:
        reason = rule.outcome.reason
        if reason is not None and reason not in reasons:
            yield finding(
                "UNKNOWN_REASON",
                rule.written_at,
                f"the rule {rule.id!r} gives the unknown reason {reason}",
                f"add it to {REASONS_FILE}",
                rule.id,
            )


def _cites(pack: Pack) -> Iterator[Finding]:
    for rule in pack.rules:
        if rule.cite is None:
            yield finding(
                "UNCITED",
                rule.written_at,
                f"the rule {rule.id!r} does not say where it comes from",
                "cite its source, or write cite: {source: ours, verified: false}",
                rule.id,
            )
        elif not rule.cite.verified and not _OURS.match(rule.cite.source):
            yield finding(
                "UNVERIFIED",
                rule.written_at,
                f"nobody has checked the rule {rule.id!r} against its source",
                f"let counsel read it beside: {rule.cite.source}",
                rule.id,
            )


def _unused_params(pack: Pack, document: YamlText, whole: bool) -> Iterator[Finding]:
    # A rule that is not understood may still be meant to use it.
    meant = frozenset[str]() if whole else frozenset(_NAMED_PARAM.findall(pack.text))
    for name in pack.unused_params:
        if name not in meant:
            yield finding(
                "UNUSED_PARAM",
                document.where(("params", name), key=True),
                f"no rule uses the parameter {name!r}",
                "take it out",
            )


def _read_reasons(
    text: str, file: str
) -> tuple[ReasonCatalogue | None, YamlText | None, list[Finding]]:
    try:
        document = read_yaml(text, file)
    except PackInvalid as error:
        return None, None, [finding_of(error, "NOT_YAML", f"{file}:1:1")]
    try:
        return reasons_of(document), document, []
    except PackInvalid as error:
        return None, document, [finding_of(error, error.fault, f"{file}:1:1")]


def _ungiven(
    reasons: ReasonCatalogue, read: Sequence[_Read], document: YamlText
) -> Iterator[Finding]:
    given: set[str] = set()
    for each in read:
        if each.pack is not None:
            given.update(r.outcome.reason for r in each.pack.rules if r.outcome.reason is not None)
        if not each.whole:  # what it is meant to give can only be guessed
            given.update(re.findall(r"[A-Z][A-Z0-9_]*", each.text))
    for code in reasons.ungiven(given):
        yield finding(
            "UNUSED_REASON",
            document.where(("reasons", reasons.codes.index(code), "code")),
            f"no rule gives the reason {code}",
            "say given_by: models, or given_by: nobody; a code is never taken out",
        )


def _overlaps(read: Sequence[_Read]) -> Iterator[Finding]:
    packs = [
        (each.pack, each.document)
        for each in read
        if each.pack is not None and each.document is not None
    ]
    packs.sort(key=lambda found: found[0].effective_from)
    for (earlier, _), (later, document) in combinations(packs, 2):
        if earlier.decides != later.decides or not earlier.holds_at(later.effective_from):
            continue
        yield finding(
            "OVERLAPPING_WINDOWS",
            document.where(("effective", "from")),
            f"{Path(earlier.file).name} and {Path(later.file).name} both decide {later.decides} "
            f"from {format_time(later.effective_from)}",
            "end the earlier pack where the later one begins",
        )
