"""Which texts may become versions, and which versions this code can still decide by."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import orjson

from engine.domain.errors import PackInvalid
from engine.domain.verdicts import PackRef
from engine.policy.cases import Case
from engine.policy.catalogue import FactCatalogue
from engine.policy.decisions import CATALOGUES
from engine.policy.engine import PolicyEngine
from engine.policy.findings import Severity
from engine.policy.lint import lint_pack
from engine.policy.packs import Pack, read_pack
from engine.policy.proving import prove
from engine.policy.reasons import ReasonCatalogue

_MOST_SHOWN = 5


def admit(
    text: str,
    file: str,
    reasons: ReasonCatalogue,
    cases: Sequence[Case],
    catalogues: Mapping[str, FactCatalogue] = CATALOGUES,
) -> tuple[Pack, str]:
    """Return a pack that lint and proof find nothing against.

    Parameters
    ----------
    text
        The YAML document.
    file
        Its name, for messages.
    reasons
        Every reason that rules may give.
    cases
        Whole decisions that packs are proved by.
    catalogues
        The facts of each decision.

    Returns
    -------
    tuple[Pack, str]
        The pack, and as JSON the findings of `lint` and the `proof`.

    Raises
    ------
    PackInvalid
        If lint finds an error, or its examples and cases do not bear the pack out; the first few
        are named.
    PolicyError
        If the rules engine did anything unexpected.
    """
    findings = lint_pack(text, file, reasons, catalogues)
    errors = [finding for finding in findings if finding.severity is Severity.ERROR]
    _refuse(file, "lint", [f"{error.where}: {error.message}" for error in errors])
    pack = read_pack(text, file, catalogues)
    proof = prove(pack, cases, reasons, catalogues)
    gaps = [f"{gap.where}: {gap.message}" for gap in proof.coverage.gaps]
    _refuse(file, "test", [*map(str, proof.failures), *gaps])
    report = {"lint": [finding.as_json() for finding in findings], "proof": proof.as_json()}
    return pack, orjson.dumps(report).decode()


def stored_pack(
    ref: PackRef, text: str, catalogues: Mapping[str, FactCatalogue] = CATALOGUES
) -> Pack:
    """Return the pack of a stored text.

    Raises
    ------
    PackInvalid
        If this code cannot read it, or it is not what the hash was taken of.
    """
    pack = read_pack(text, f"{ref.pack}@{ref.version}", catalogues, published=True)
    if pack.ref != ref:
        raise PackInvalid(
            f"the text kept as {ref.pack} version {ref.version} is not what was published: it is "
            f"{pack.ref.pack} version {pack.ref.version} with the hash {pack.ref.hash[:12]}…",
            "it was changed in the database: publish it as a new version",
        )
    return pack


def check_usable(
    ref: PackRef,
    text: str,
    reasons: ReasonCatalogue,
    catalogues: Mapping[str, FactCatalogue] = CATALOGUES,
) -> None:
    """Do nothing if this code can decide by a stored text.

    Raises
    ------
    PolicyError
        If it cannot: a fact or reason is unknown here, or a rule does not fit into durable_rules.
    """
    PolicyEngine([stored_pack(ref, text, catalogues)], reasons, catalogues).close()


def _refuse(file: str, command: str, faults: Sequence[str]) -> None:
    if faults:
        more = f"; and {len(faults) - _MOST_SHOWN} more" if len(faults) > _MOST_SHOWN else ""
        raise PackInvalid(
            f"{file} is not published: {'; '.join(faults[:_MOST_SHOWN])}{more}",
            f"see all of it: lishang rules {command} {file}",
        )
