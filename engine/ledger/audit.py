"""The audit: the whole ledger proved in one snapshot, with its figures and every fault found."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field

import orjson
from sqlalchemy import Connection

from engine.domain.clock import format_time
from engine.ledger import audit_totals as totals
from engine.ledger.audit_balances import fault_in_money
from engine.ledger.audit_outbox import fault_in_events
from engine.ledger.audit_reading import Unreadable, kept_gifts
from engine.ledger.audit_states import fault_in_row
from engine.ledger.audit_terms import fault_in_terms, settlements
from engine.ledger.audit_vouchers import fault_in_voucher
from engine.ledger.statements import Statement

CHECKS = (
    "balances",
    "counters",
    "stock",
    "states",
    "terms",
    "vouchers",
    "outbox",
    "payments",
    "strays",
)
"""What is proved, in the order in which it is shown."""

_ACCOUNTS = Statement(f"""
SELECT account, count(*), {totals.exact_sum("fen")} FROM postings
GROUP BY account ORDER BY account
""")
_COUNTS = Statement(f"""
SELECT (SELECT count(*) FROM gifts WHERE origin = 'imported'),
  (SELECT count(*) FROM gifts WHERE due_at <= :at),
  (SELECT count(*) FROM counters WHERE day > 0),
  (SELECT count(*) FROM items WHERE stock IS NOT NULL),
  (SELECT coalesce({totals.exact_sum("stock_taken")}, 0) FROM items WHERE stock IS NOT NULL),
  (SELECT count(*) FROM vouchers),
  (SELECT count(*) FROM outbox)
""")
_COUNTED = (
    "imported gifts, outside the proofs",
    "gifts due to be moved",
    "counters",
    "items of limited stock",
    "pieces of them held",
    "voucher codes",
    "events kept",
)


@dataclass(frozen=True, slots=True)
class Fault:
    """Something that is not as it must be."""

    check: str
    """One of `CHECKS`."""
    of: str
    """A gift's id, or what else it is about."""
    fault: str


@dataclass(frozen=True, slots=True)
class Audit:
    """What an audit found."""

    at: int
    """When, in microseconds."""
    figures: Mapping[str, int]
    """What there is, by its name; fen where the name says so."""
    counts: Mapping[str, int]
    """Faults by check."""
    first: tuple[Fault, ...]
    """The first faults of each check."""

    @property
    def clean(self) -> bool:
        """Whether nothing is at fault."""
        return not any(self.counts.values())

    def as_json(self) -> str:
        """Return it as a JSON text, for machines."""
        told = {
            "at": format_time(self.at),
            "clean": self.clean,
            "figures": dict(self.figures),
            "faults": dict(self.counts),
            "first": [asdict(fault) for fault in self.first],
        }
        return orjson.dumps(told, option=orjson.OPT_INDENT_2).decode()


@dataclass(slots=True)
class _Findings:
    """Faults as they come: all counted, the first of each check kept."""

    most: int
    counts: Counter[str] = field(default_factory=Counter)
    kept: list[Fault] = field(default_factory=list)

    def add(self, check: str, faults: Iterable[tuple[str, str]]) -> None:
        for of, fault in faults:
            self.counts[check] += 1
            if self.counts[check] <= self.most:
                self.kept.append(Fault(check, of, fault))


def audit(unit: Connection, at: int, most: int = 20) -> Audit:
    """Prove the ledger as `unit` sees it, at `at` (microseconds).

    Every entry sums to zero and is what its gift's state, price and terms say; counters are what
    live gifts hold, both ways, and so is limited stock; rows fit their states and rest, with their
    terms, on recorded decisions; vouchers are redeemed once; callers were told of all of each
    gift's life and never of a decline. Imported history is only counted. What cannot be read is a
    fault of its own; all else is proved.

    Parameters
    ----------
    unit
        One snapshot (`Database.reading(snapshot=True)`), else a gift that is sent meanwhile looks
        like a fault.
    most
        How many faults of each check to keep; all are counted.
    """
    findings = _Findings(most)
    states = _prove_gifts(unit, findings)
    findings.add("counters", totals.faulty_counters(unit))
    findings.add("stock", totals.faulty_stock(unit))
    findings.add("states", totals.faulty_decisions(unit))
    findings.add("outbox", totals.faulty_feed(unit))
    findings.add("payments", totals.faulty_payments(unit))
    findings.add("strays", totals.stray_rows(unit))
    return Audit(
        at=at,
        figures=_figures(unit, states, at),
        counts={check: findings.counts[check] for check in CHECKS},
        first=tuple(sorted(findings.kept, key=lambda fault: CHECKS.index(fault.check))),
    )


def _prove_gifts(unit: Connection, findings: _Findings) -> Counter[str]:
    """Prove gift after gift; return how many there are of each state."""
    states: Counter[str] = Counter()
    pruned = totals.begins_later(unit)
    for part in kept_gifts(unit):
        read = [gift for gift in part if not isinstance(gift, Unreadable)]
        settled = settlements(unit, (gift.terms.decision_id for gift in read))
        for gift in part:
            states[gift.state] += 1
            if isinstance(gift, Unreadable):
                findings.add(gift.check, [(gift.gift, gift.fault)])
                continue
            for check, fault in (
                ("states", fault_in_row(gift)),
                ("terms", fault_in_terms(gift, settled.get(gift.terms.decision_id))),
                ("balances", fault_in_money(gift)),
                ("vouchers", fault_in_voucher(gift)),
                ("outbox", fault_in_events(gift, pruned)),
            ):
                if fault is not None:
                    findings.add(check, [(gift.gift, fault)])
    return states


def _figures(unit: Connection, states: Counter[str], at: int) -> dict[str, int]:
    return dict(
        [
            ("gifts", states.total()),
            *((f"gifts {state}", number) for state, number in sorted(states.items())),
            *_money(unit),
            *zip(_COUNTED, map(int, _COUNTS.run(unit, at=at).one()), strict=True),
        ]
    )


def _money(unit: Connection) -> Iterator[tuple[str, int]]:
    accounts = _ACCOUNTS.run(unit).all()
    yield "postings", sum(lines for _, lines, _ in accounts)
    for account, _, fen in accounts:
        yield f"fen of {account}", int(fen)
