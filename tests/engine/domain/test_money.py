"""Money over random terms and prices: nothing appears, nothing vanishes, all comes back."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.domain.errors import PolicyError
from engine.domain.money import (
    WHOLE_PPM,
    Account,
    Entry,
    EntryKind,
    PayOn,
    Posting,
    Terms,
    capture,
    escrow,
    reversals,
    tax,
)

PRICES = st.integers(0, 10**6) | st.integers(0, 2**62)
PARTIES = st.none() | st.sampled_from(["an", "bo", "house", ""])


@st.composite
def _terms(draw: st.DrawFn, creator_from: int = 0) -> Terms:
    creator_ppm = draw(st.integers(creator_from, WHOLE_PPM))
    platform_ppm = draw(st.integers(0, WHOLE_PPM - creator_ppm))
    return Terms(
        platform_ppm=platform_ppm,
        creator_ppm=creator_ppm,
        ip_owner_ppm=draw(st.integers(0, WHOLE_PPM - creator_ppm - platform_ppm)),
        tax_ppm=draw(st.integers(0, WHOLE_PPM)),
        pay_on=draw(st.sampled_from(PayOn)),
        voucher_days=draw(st.integers(0, 36_500)),
        is_voucher=draw(st.booleans()),
        creator=draw(PARTIES if creator_from == 0 else st.just("cy")),
        brand=draw(PARTIES),
        ip_owner=draw(PARTIES),
        decision_id="dec_1",
    )


def _shares(postings: tuple[Posting, ...]) -> Counter[tuple[Account, str]]:
    shares: Counter[tuple[Account, str]] = Counter()
    for posting in postings:
        if posting.account is not Account.ESCROW:
            shares[posting.account, posting.holder] += posting.fen
    return shares


def _life(price: int, terms: Terms) -> list[Entry]:
    moves = [
        (EntryKind.ESCROW, escrow("gift_1", "an", price)),
        (EntryKind.CAPTURE, capture("gift_1", price, terms)),
        (EntryKind.TAX, tax("an", "bo", price, terms)),
    ]
    return [Entry(n, *move) for n, move in enumerate(moves, start=1) if move[1]]


def _left(entries: list[Entry]) -> dict[tuple[Account, str], int]:
    left: Counter[tuple[Account, str]] = Counter()
    for posting in (posting for entry in entries for posting in entry.postings):
        left[posting.account, posting.holder] += posting.fen
    return {account: fen for account, fen in left.items() if fen}


@given(PRICES, _terms())
def test_every_entry_sums_to_zero_and_moves_something(price: int, terms: Terms) -> None:
    for entry in _life(price, terms):
        assert sum(posting.fen for posting in entry.postings) == 0
        assert all(posting.fen for posting in entry.postings)
        accounts = [(posting.account, posting.holder) for posting in entry.postings]
        assert len(set(accounts)) == len(accounts)


@given(PRICES, _terms())
def test_shares_sum_to_the_price_and_none_is_negative(price: int, terms: Terms) -> None:
    shares = _shares(capture("gift_1", price, terms))
    assert sum(shares.values()) == price
    assert min(shares.values(), default=0) >= 0


@given(PRICES, _terms())
def test_shares_are_within_a_fen_of_their_parts_and_the_rest_is_the_suppliers(
    price: int, terms: Terms
) -> None:
    """Against exact fractions, whatever the size of the price."""
    shares = _shares(capture("gift_1", price, terms))
    supplier = (
        (Account.BRAND, terms.brand)
        if terms.brand is not None
        else (Account.CREATOR, terms.creator)
        if terms.creator is not None
        else (Account.PLATFORM, "")
    )
    parts = {
        (Account.PLATFORM, ""): terms.platform_ppm,
        (Account.CREATOR, terms.creator): terms.creator_ppm,
        (Account.IP_OWNER, terms.ip_owner): terms.ip_owner_ppm,
    }
    for (account, holder), ppm in parts.items():
        if holder is not None and (account, holder) != supplier:
            off = shares[account, holder] * WHOLE_PPM - price * ppm
            assert abs(off) < WHOLE_PPM
            # To the creator's favour; the platform and the owner of a name round down.
            assert off >= 0 if account is Account.CREATOR else off <= 0
    assert set(shares) <= {*parts, supplier}


@given(st.integers(1, 10**6) | st.integers(1, 2**62), _terms(creator_from=WHOLE_PPM // 2 + 1))
def test_creators_share_is_above_half_of_any_price_where_the_terms_give_more_than_half(
    price: int, terms: Terms
) -> None:
    shares = _shares(capture("gift_1", price, terms))
    assert 2 * shares[Account.CREATOR, "cy"] > price


@given(PRICES, _terms())
def test_tax_is_withheld_beside_the_price_and_no_fen_above_its_part(
    price: int, terms: Terms
) -> None:
    withheld = sum(p.fen for p in tax("an", "bo", price, terms) if p.account is Account.TAX)
    assert 0 <= price * terms.tax_ppm - withheld * WHOLE_PPM < WHOLE_PPM


@given(PRICES, _terms(), st.integers(0, 3))
def test_reversal_brings_every_account_of_the_gift_back_to_zero(
    price: int, terms: Terms, entries: int
) -> None:
    stood = _life(price, terms)[:entries]
    undone = reversals(stood)
    assert _left([*stood, *undone]) == {}
    assert [entry.reverses for entry in undone] == [entry.number for entry in reversed(stood)]
    numbers = [entry.number for entry in (*stood, *undone)]
    assert numbers == list(range(1, len(numbers) + 1))
    assert reversals([*stood, *undone]) == []


@given(PRICES, _terms())
def test_escrow_is_emptied_by_a_capture_and_never_below_zero(price: int, terms: Terms) -> None:
    left = _left(_life(price, terms))
    assert (Account.ESCROW, "gift_1") not in left
    withheld = left.get((Account.TAX, "bo"), 0)
    assert left.get((Account.PAYER, "an"), 0) == -price - withheld


@given(st.integers(1, 10**9), st.integers(1, WHOLE_PPM), st.integers(0, 2), _terms())
def test_shares_above_the_whole_are_refused(
    price: int, above: int, which: int, terms: Terms
) -> None:
    name = ("platform_ppm", "creator_ppm", "ip_owner_ppm")[which]
    told = {n: getattr(terms, n) for n in Terms.__slots__}
    others = terms.platform_ppm + terms.creator_ppm + terms.ip_owner_ppm - told[name]
    overfull = Terms(**{**told, name: WHOLE_PPM - others + above})
    with pytest.raises(PolicyError, match="more than the whole"):
        capture("gift_1", price, overfull)
