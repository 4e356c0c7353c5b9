"""The life of a version: what may be done in which state, by whom, and what follows beside it."""

from __future__ import annotations

import re
from dataclasses import replace
from itertools import product
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.domain.errors import Conflict, UnknownReference
from engine.domain.pack_life import SEED, Action, Actor, PackEvent, PackState, StoredVersion
from engine.domain.verdicts import PackRef
from engine.policy import publishing, rolling_back, succession
from engine.policy.decisions import CATALOGUES
from engine.policy.new_versions import draft_of, kept_already, unpublished, unseeded
from engine.policy.packs import read_pack

DOCS = Path(__file__).parents[2] / "docs" / "shipping.md"
ANN, BOB = Actor("k1", "ann"), Actor("k2", "bob")
AT = 100
REPLAYED = '{"decisions":1}'


def made(
    version: int,
    state: PackState = PackState.ENFORCED,
    begins: int = 0,
    ends: int | None = None,
    enforced_at: int | None = None,
    pack: str = "p",
    **changed: object,
) -> StoredVersion:
    """A version that began and was backtested and in shadow, unless told otherwise."""
    decided = state in {PackState.ENFORCED, PackState.RETIRED}
    plain = StoredVersion(
        ref=PackRef(pack, version, f"{pack}{version}"),
        decides="d",
        text="",
        state=state,
        effective_from=begins,
        effective_until=ends,
        author=ANN,
        published_at=0,
        checks="{}",
        backtest=REPLAYED,
        shadowed=True,
        enforced_at=(version if enforced_at is None else enforced_at) if decided else None,
    )
    return replace(plain, **changed)


def numbers(versions: tuple[StoredVersion, ...]) -> list[int]:
    return sorted(version.ref.version for version in versions)


def enforced_in_turn(versions: list[StoredVersion]) -> list[PackEvent]:
    """The history of versions that were enforced one after another."""
    decided = sorted((v for v in versions if v.enforced_at is not None), key=_enforced_at)
    return [
        PackEvent(n, v.ref.pack, v.ref.version, Action.ENFORCED, BOB, n)
        for n, v in enumerate(decided, 1)
    ]


def _enforced_at(version: StoredVersion) -> int:
    return version.enforced_at or 0


def rollback(
    pack: str, versions: list[StoredVersion], approver: Actor, at: int, to: int | None = None
) -> publishing.Plan:
    """The plan where nothing was rolled back before."""
    history = enforced_in_turn(versions)
    return rolling_back.plan_rollback(pack, versions, history, approver, at, to)


class Life:
    """Versions of one pack that are shipped and rolled back, each change at an instant of its own.

    Plans are carried out as the job does, events included.
    """

    def __init__(self) -> None:
        self.versions: list[StoredVersion] = []
        self.events: list[PackEvent] = []
        self.at = AT

    def enforce(self, number: int, pack: str = "p", **dates: int) -> None:
        new = made(number, PackState.SHADOW, pack=pack, **dates)
        self.versions.append(new)
        self._carry_out(
            publishing.plan_enforcement(new, self.versions, BOB, self.at), Action.ENFORCED
        )

    def rollback(self, pack: str = "p", to: int | None = None) -> publishing.Plan:
        plan = rolling_back.plan_rollback(pack, self.versions, self.events, BOB, self.at, to)
        self._carry_out(plan, Action.ROLLED_BACK_TO)
        return plan

    def deciding(self, at: int | None = None) -> str:
        """Which version decides."""
        found = decider(self.versions, at or self.at)
        return "" if found is None else f"{found.ref.pack}{found.ref.version}"

    def _carry_out(self, plan: publishing.Plan, done: Action) -> None:
        steps = [(version, Action.RETIRED) for version in plan.retire]
        steps += [] if plan.roll_back is None else [(plan.roll_back, Action.ROLLED_BACK)]
        steps += [] if plan.enforce is None else [(plan.enforce, done)]
        for version, action in steps:
            publishing.state_after(version, action)
            ref = version.ref
            self.events.append(PackEvent(0, ref.pack, ref.version, action, BOB, self.at))
        self.versions = after(self.versions, plan, self.at)
        self.at += 1


def decider(versions: list[StoredVersion], at: int) -> StoredVersion | None:
    """Who decides at an instant, by the words of the architecture: the latest start, then the
    newest enforcement."""
    holding = [v for v in versions if v.state is PackState.ENFORCED and v.holds_at(at)]
    return max(holding, key=lambda v: (v.effective_from, v.enforced_at), default=None)


def after(versions: list[StoredVersion], plan: publishing.Plan, at: int) -> list[StoredVersion]:
    """The versions once a plan is carried out."""

    def moved(version: StoredVersion) -> StoredVersion:
        if version in plan.retire or version == plan.roll_back:
            return replace(version, state=PackState.RETIRED)
        if plan.enforce is not None and version.ref == plan.enforce.ref:
            return replace(version, state=PackState.ENFORCED, enforced_at=at)
        return version

    return [moved(version) for version in versions]


def test_transitions_are_those_of_the_documentation() -> None:
    rows = re.findall(r"^\| (\S+) \| ([a-z ]+) \| (\S+) \|", DOCS.read_text("utf-8"), re.MULTILINE)
    known = {
        (None if begins == "–" else PackState(begins), Action(done)): PackState(ends)
        for begins, done, ends in rows
        if done in set(Action)
    }
    assert known == dict(publishing.TRANSITIONS)


@pytest.mark.parametrize(("state", "action"), list(product(PackState, Action)))
def test_state_after_allows_what_the_table_lists_and_refuses_the_rest(state, action) -> None:
    version = made(1, state)
    if (state, action) in publishing.TRANSITIONS:
        assert publishing.state_after(version, action) is publishing.TRANSITIONS[state, action]
    else:
        with pytest.raises(Conflict, match=f"p version 1 is .*{state}") as refused:
            publishing.state_after(version, action)
        assert refused.value.hint


@pytest.mark.parametrize(
    "approver",
    [
        ANN,
        Actor("k9", "ann"),
        Actor("k9", " Ann "),
        Actor("k9", "ａｎｎ"),  # as wide as Chinese characters
        Actor("k1", "somebody else"),
    ],
)
def test_approver_who_is_the_author_by_key_or_name_is_refused(approver) -> None:
    with pytest.raises(Conflict, match="cannot approve"):
        publishing.plan_enforcement(made(2, PackState.SHADOW), [], approver, AT)
    with pytest.raises(Conflict, match="cannot approve"):
        rollback("p", [made(1, PackState.RETIRED), made(2)], approver, AT)


def test_shadow_without_a_backtest_is_refused_and_ends_the_packs_other_shadow_only() -> None:
    new = made(3, PackState.DRAFT, backtest=None)
    with pytest.raises(Conflict, match="no backtest"):
        publishing.plan_shadow(new, [new])
    old, other = made(2, PackState.SHADOW), made(1, PackState.SHADOW, pack="q")
    plan = publishing.plan_shadow(replace(new, backtest=REPLAYED), [old, other])
    assert plan.end_shadow == (old,)


@pytest.mark.parametrize("report", ['{"decisions":0}', "{}", '{"decisions":"9"}'])
def test_shadow_after_a_backtest_of_nothing_is_refused_unless_it_has_no_history(report) -> None:
    new = made(3, PackState.DRAFT, backtest=report)
    with pytest.raises(Conflict, match="replayed no decision") as refused:
        publishing.plan_shadow(new, [new])
    assert "--without-history" in refused.value.hint
    assert publishing.plan_shadow(new, [new], without_history=True) == publishing.Plan()


def test_report_of_what_was_in_shadow_is_not_replaced() -> None:
    publishing.check_backtest(made(2, PackState.DRAFT, shadowed=False))
    for state in (PackState.SHADOW, PackState.DRAFT):  # a shadow that has ended is a draft again
        with pytest.raises(Conflict, match="cannot be given another backtest") as refused:
            publishing.check_backtest(made(2, state))
        assert refused.value.hint


def test_enforcement_tells_until_when_and_by_which_version_it_is_superseded() -> None:
    new = made(4, PackState.SHADOW)
    later, last = made(2, begins=150), made(3, begins=170)
    plan = publishing.plan_enforcement(new, [last, later, new], BOB, AT)
    assert (plan.decides_until, plan.successor) == (150, later)
    plan = publishing.plan_enforcement(replace(new, effective_until=140), [later, new], BOB, AT)
    assert (plan.decides_until, plan.successor) == (140, None)
    plan = publishing.plan_enforcement(new, [made(1), new], BOB, AT)
    assert (plan.decides_until, plan.successor) == (None, None)
    chain = [made(1, PackState.RETIRED), made(2, enforced_at=1, begins=150), made(3)]
    plan = rollback("p", chain, BOB, AT)
    assert (plan.enforce, plan.decides_until, plan.successor) == (chain[0], 150, chain[1])
    twins = [made(5, enforced_at=2, begins=150), made(6, enforced_at=1, begins=150)]
    for together in (twins, twins[::-1]):
        plan = publishing.plan_enforcement(new, [*together, new], BOB, AT)
        assert (plan.decides_until, plan.successor) == (150, twins[0])


def test_enforcement_without_a_shadow_before_is_refused() -> None:
    with pytest.raises(Conflict, match="not been in shadow"):
        publishing.plan_enforcement(made(2, PackState.DRAFT, shadowed=False), [], BOB, AT)
    plan = publishing.plan_enforcement(made(2, PackState.DRAFT), [], BOB, AT)
    assert (plan.retire, plan.decides_from) == ((), AT)


def test_enforcement_retires_what_it_wholly_replaces_and_ends_the_packs_shadows() -> None:
    new = made(5, PackState.SHADOW, begins=50)
    beside = [
        made(1),
        made(2, begins=50, ends=120),
        made(3, begins=80, ends=130),  # a festival within: decides till its end
        made(4, begins=10, pack="q"),  # another pack of the same decision
        made(6, PackState.SHADOW),
        made(7, PackState.SHADOW, pack="q"),
    ]
    plan = publishing.plan_enforcement(new, [*beside, new], BOB, AT)
    assert [version.ref for version in plan.retire] == [beside[n].ref for n in (0, 1, 3)]
    assert plan.end_shadow == (beside[4],)
    assert plan.decides_from == 130


def test_enforcement_of_a_version_with_an_end_leaves_the_one_beneath() -> None:
    base, festival = made(1), made(2, PackState.SHADOW, begins=100, ends=200)
    plan = publishing.plan_enforcement(festival, [base, festival], BOB, AT)
    assert plan.retire == ()
    later = after([base, festival], plan, AT)
    deciding = [decider(later, at).ref.version for at in (100, 199, 200, 10**9)]
    assert deciding == [2, 2, 1, 1]


def test_enforcement_of_a_later_start_leaves_the_present_one_deciding_until_then() -> None:
    base, future = made(1), made(2, PackState.SHADOW, begins=150)
    plan = publishing.plan_enforcement(future, [base, future], BOB, AT)
    assert (plan.retire, plan.decides_from) == ((), 150)
    later = after([base, future], plan, AT)
    assert [decider(later, at).ref.version for at in (149, 150)] == [1, 2]
    newer = made(3, PackState.SHADOW, begins=160)
    assert numbers(publishing.plan_enforcement(newer, later, BOB, 170).retire) == [1, 2]


def test_enforcement_that_would_never_decide_is_refused() -> None:
    with pytest.raises(Conflict, match="would never decide: p version 1, in effect from") as caught:
        publishing.plan_enforcement(
            made(2, PackState.SHADOW, begins=10), [made(1, begins=20)], BOB, AT
        )
    assert "later effective.from" in caught.value.hint
    with pytest.raises(Conflict, match="p version 2 ended at 1970"):
        publishing.plan_enforcement(made(2, PackState.SHADOW, ends=AT), [made(1)], BOB, AT)


def test_rollback_undoes_the_newest_enforcement_again_and_again() -> None:
    chain = [made(1, PackState.RETIRED), made(2, PackState.RETIRED), made(3)]
    plan = rollback("p", chain, BOB, AT)
    assert (plan.enforce, plan.roll_back, plan.retire) == (chain[1], chain[2], ())
    life = Life()
    for number in (1, 2, 3):
        life.enforce(number)
    found = []
    for _ in range(2):
        life.rollback()
        found.append(life.deciding())
    assert found == ["p2", "p1"]
    with pytest.raises(Conflict, match="nothing decided d before p version 1") as refused:
        life.rollback()
    assert "(2, 3): lishang rules rollback p --to" in refused.value.hint
    plan = life.rollback(to=3)
    assert (plan.enforce.ref.version, numbers(plan.retire)) == (3, [1])
    life.rollback()  # and that is taken back like any other
    assert life.deciding() == "p1"


def test_rollback_passes_over_what_was_rolled_back_itself() -> None:
    life = Life()
    life.enforce(1)
    life.enforce(2)
    life.rollback()
    life.enforce(3)
    life.rollback()
    assert life.deciding() == "p1"
    for number in (4, 5):
        life.enforce(number)
    life.rollback()
    assert life.deciding() == "p4"


def test_rollback_after_going_back_to_a_named_version_is_refused_with_how_to_name_one() -> None:
    life = Life()
    for number in (1, 2, 3):
        life.enforce(number)
    life.rollback(to=1)
    with pytest.raises(Conflict, match="nothing decided") as refused:
        life.rollback()
    assert "--to" in refused.value.hint
    life.enforce(4)
    life.rollback()
    assert life.deciding() == "p1"


def test_rollback_takes_back_what_began_last_once_it_has_begun() -> None:
    life = Life()
    life.enforce(1)
    life.enforce(2, begins=AT + 50)
    life.enforce(3)
    life.at = AT + 60
    assert life.deciding() == "p2"
    life.rollback()
    assert life.deciding() == "p3"
    life.rollback()
    assert life.deciding() == "p1"
    life.enforce(4, begins=AT, ends=AT + 70)
    life.at = AT + 80  # over, though nobody has retired it
    life.enforce(5)
    life.rollback()
    assert life.deciding() == "p1"


def test_rollback_of_a_pack_that_took_over_from_another_lets_that_decide_again() -> None:
    life = Life()
    life.enforce(1)
    life.enforce(1, pack="q")
    assert life.deciding() == "q1"
    life.rollback("q")
    assert life.deciding() == "p1"


def test_rollback_of_a_festival_takes_it_away_and_leaves_the_one_beneath() -> None:
    base, festival = made(1), made(2, begins=90, ends=200)
    plan = rollback("p", [base, festival], BOB, AT)
    assert (plan.enforce, plan.roll_back, plan.retire) == (base, festival, ())
    own_pack = made(1, begins=90, ends=200, pack="q")
    plan = rollback("q", [base, own_pack], BOB, AT)
    assert (plan.enforce, plan.roll_back, plan.retire) == (None, own_pack, ())


def test_rollback_passes_over_a_version_that_would_leave_a_gap() -> None:
    chain = [made(1, PackState.RETIRED), made(2, PackState.RETIRED, begins=50, ends=200), made(3)]
    assert rollback("p", chain, BOB, AT).enforce == chain[0]
    plan = rollback("p", chain, BOB, AT, to=2)
    assert (plan.enforce, plan.retire) == (chain[1], ())  # 3 lies beneath and lasts


def test_rollback_to_a_version_that_would_leave_a_gap_is_refused() -> None:
    chain = [made(2, PackState.RETIRED, begins=50, ends=200), made(3, begins=60)]
    with pytest.raises(Conflict, match="nothing would decide d"):
        rollback("p", chain, BOB, AT, to=2)


def test_rollback_to_what_never_decided_or_decides_or_is_not_there_is_refused() -> None:
    versions = [made(1), made(2, PackState.SHADOW)]
    with pytest.raises(Conflict, match="never enforced"):
        rollback("p", versions, BOB, AT, to=2)
    with pytest.raises(Conflict, match="enforced already"):
        rollback("p", versions, BOB, AT, to=1)
    with pytest.raises(UnknownReference):
        rollback("p", versions, BOB, AT, to=9)
    with pytest.raises(Conflict, match="no version of q is enforced"):
        rollback("q", versions, BOB, AT)


windows = st.tuples(st.integers(0, 12), st.none() | st.integers(1, 8)).map(
    lambda w: (w[0], None if w[1] is None else w[0] + w[1])
)


@given(st.lists(windows, min_size=1, max_size=6), windows, st.integers(0, 14))
def test_enforcing_changes_who_decides_exactly_as_if_nothing_were_retired(kept, window, at) -> None:
    before = [made(n + 1, begins=b, ends=e) for n, (b, e) in enumerate(kept)]
    new = made(len(kept) + 1, PackState.SHADOW, *window)
    everything = [*before, replace(new, state=PackState.ENFORCED, enforced_at=10**6)]
    expected = [decider(everything, t) for t in range(at, 40)]
    wins = [at + n for n, version in enumerate(expected) if version and version.ref == new.ref]
    if not wins:
        with pytest.raises(Conflict):
            publishing.plan_enforcement(new, [*before, new], BOB, at)
        return
    plan = publishing.plan_enforcement(new, [*before, new], BOB, at)
    found = [decider(after([*before, new], plan, 10**6), t) for t in range(at, 40)]
    assert [v and v.ref for v in found] == [v and v.ref for v in expected]
    assert plan.decides_from == wins[0]
    # What is retired has indeed nothing left to decide: nothing dead is kept that is replaced.
    assert all(succession.replaces(new, version, at) for version in plan.retire)


@given(st.lists(windows, min_size=1, max_size=6), st.integers(0, 14), st.none() | st.integers(1, 6))
def test_rolling_back_never_opens_a_gap(kept, at, to) -> None:
    versions: list[StoredVersion] = []
    for n, window in enumerate(kept):
        new = made(n + 1, PackState.SHADOW, *window)
        versions.append(new)
        try:
            plan = publishing.plan_enforcement(new, versions, BOB, at)
        except Conflict:
            versions.pop()
            continue
        versions = after(versions, plan, n + 1)
    covered = {t for t in range(at, 40) if decider(versions, t)}
    try:
        plan = rollback("p", versions, BOB, at, to)
    except (Conflict, UnknownReference):
        return
    then = after(versions, plan, 10**6)
    assert covered <= {t for t in range(at, 40) if decider(then, t)}
    if plan.enforce is not None:
        deciding = (decider(then, t) for t in range(plan.decides_from, 40))
        assert next(deciding).ref == plan.enforce.ref


def _pack(text: str):
    return read_pack(text, "f.yaml", CATALOGUES)


def test_publishing_what_is_kept_already_is_found_whatever_its_layout(small_pack) -> None:
    kept = draft_of(_pack(small_pack(1)), ANN, 1, "{}")
    again = _pack("# a comment\n" + small_pack(1))
    assert kept_already(again, [kept]) == kept
    assert kept_already(_pack(small_pack(2)), [kept]) is None


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"version": 5, "owner": "others"}, "version 5 is kept with another text"),
        ({"version": 4}, "version 4 comes after version 5"),
        ({"version": 6, "decides": "offer_show", "pack": "gift_send"}, "gift_send decides gift_se"),
    ],
)
def test_publishing_another_text_or_a_lower_number_is_a_conflict(small_pack, changed, told) -> None:
    kept = draft_of(_pack(small_pack(5)), ANN, 1, "{}")
    with pytest.raises(Conflict, match=told) as caught:
        kept_already(_pack(small_pack(**changed)), [kept])
    assert caught.value.message.startswith("f.yaml: ")


def test_seeding_takes_packs_of_decisions_without_any_version(small_pack) -> None:
    send, show = _pack(small_pack(1)), _pack(small_pack(1, "offer_show"))
    kept = [draft_of(_pack(small_pack(1, owner="others")), SEED, 1, "{}")]
    assert unseeded([send, show], kept) == [show]
    assert unpublished([send, show], kept) == (send.ref, show.ref)
