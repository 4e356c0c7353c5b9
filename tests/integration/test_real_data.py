"""All three jobs on real data: imported, trained, served and asked over HTTP."""

from __future__ import annotations

import csv
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import mean

import pytest

ITEMS = """item,name,price_fen,tier,category,kind,mechanics,relations,scenes
coffee,Coffee voucher,900,basic,drinks,voucher,direct,friend,chat
draw,Lucky draw,900,basic,games,goods,lottery,friend,chat
"""


@pytest.fixture(scope="module")
def copenhagen(lishang_data: Path, install):
    """A server on the Copenhagen study's messages, calls and friendships."""
    lishang = install("copenhagen")
    # The study counts its 28 days from their start: placed so that they have just ended.
    begun = (datetime.now(UTC) - timedelta(days=28)).isoformat()
    folder = str(lishang_data / "copenhagen")
    lishang.run("import", "--preset", "copenhagen", "--epoch", begun, folder)
    items = lishang.home / "items.csv"
    items.write_text(ITEMS)
    lishang.run("import", "--items", str(items))
    lishang.run("train", "ties")
    key = lishang.key()
    with lishang.serving() as address:
        yield lishang.client(address, key)


@pytest.fixture(scope="module")
def exchanges(lishang_data: Path) -> Counter[tuple[str, str]]:
    """How many messages each unordered pair exchanged."""
    found: Counter[tuple[str, str]] = Counter()
    with (lishang_data / "copenhagen" / "sms.csv").open() as file:
        for row in csv.DictReader(file):
            found[tuple(sorted((row["sender"], row["recipient"])))] += 1
    return found


@pytest.fixture(scope="module")
def friends(lishang_data: Path) -> set[tuple[str, str]]:
    with (lishang_data / "copenhagen" / "fb_friends.csv").open() as file:
        next(file)
        return {tuple(sorted(line.strip().split(","))) for line in file}


def _gift(pair: tuple[str, str], item: str) -> dict[str, str]:
    return {"sender": pair[0], "recipient": pair[1], "item": item}


def test_unfriended_pair_is_denied_with_its_reason(copenhagen, friends, exchanges) -> None:
    stranger = next(pair for pair in exchanges if pair not in friends and pair[0] != pair[1])
    status, answer = copenhagen.post("/v1/gifts/check", _gift(stranger, "coffee"))
    assert (status, answer["verdict"]) == (200, "deny")
    assert [reason["code"] for reason in answer["reasons"]] == ["NOT_TWO_WAY_FRIENDS"]
    assert answer["model"] == {"name": "ties", "version": "1"}


def test_caps_last_gift_is_sent_and_the_next_denied(copenhagen, friends) -> None:
    pair = sorted(friends)[0]
    answers = [
        copenhagen.post(
            "/v1/gifts",
            {**_gift(pair, "coffee"), "payment_ref": f"paid-{n}"},
            Idempotency_Key=f"cap-{n}",
        )
        for n in range(11)
    ]
    assert [status for status, _ in answers] == [201] * 10 + [200]
    last = answers[-1][1]
    assert (last["verdict"], last["gift"]) == ("deny", None)
    assert [reason["code"] for reason in last["reasons"]] == ["DAILY_CAP_REACHED"]


def test_lottery_item_is_denied(copenhagen, friends) -> None:
    status, answer = copenhagen.post("/v1/gifts/check", _gift(max(friends), "draw"))
    assert (status, answer["verdict"]) == (200, "deny")
    assert [reason["code"] for reason in answer["reasons"]] == ["LOTTERY_STYLE"]


def test_pairs_that_exchanged_often_score_above_those_that_never_did(
    copenhagen, exchanges, friends
) -> None:
    often = [pair for pair, _ in exchanges.most_common(100) if pair[0] != pair[1]]
    # Pairs to which this file's other tests gave something are neither.
    busy = {sorted(friends)[0], max(friends), sorted(friends)[-2]}
    with_anyone = {person for pair in exchanges for person in pair}
    never = [
        p for p in sorted(friends) if p not in exchanges and p not in busy and set(p) <= with_anyone
    ]
    pairs = [{"sender": a, "recipient": b} for a, b in (*often, *never[:100])]
    status, answer = copenhagen.post("/v1/ties/scores", {"pairs": pairs})
    assert status == 200
    assert answer["model"]["name"] == "ties"
    strengths = [tie["strength"] for tie in answer["ties"]]
    assert min(strengths[: len(often)]) > max(strengths[len(often) :])
    chances = [tie["p_exchange"] for tie in answer["ties"]]
    assert mean(chances[: len(often)]) > mean(chances[len(often) :])


def test_strongest_tie_of_a_person_is_one_they_exchanged_much_with(copenhagen, exchanges) -> None:
    (one, other), _ = exchanges.most_common(1)[0]
    status, answer = copenhagen.get(f"/v1/people/{one}/ties?limit=5")
    assert status == 200
    assert other in [tie["recipient"] for tie in answer["ties"]]
    strengths = [tie["strength"] for tie in answer["ties"]]
    assert strengths == sorted(strengths, reverse=True)


def test_unfriending_over_http_is_effective_for_the_next_check(copenhagen, friends) -> None:
    one, other = sorted(friends)[-2]
    gift = _gift((one, other), "coffee")
    assert copenhagen.post("/v1/gifts/check", gift)[1]["verdict"] == "allow"
    event = {
        "type": "friendship",
        "id": "unfriend-1",
        "occurred_at": "2026-01-01T00:00:00Z",
        "person": other,
        "friend": one,
        "active": False,
    }
    assert copenhagen.post("/v1/events", {"events": [event]}) == (
        200,
        {"accepted": 1, "repeated": 0},
    )
    assert copenhagen.post("/v1/gifts/check", gift)[1]["verdict"] == "deny"


@pytest.fixture(scope="module")
def lastfm(lishang_data: Path, install):
    """A server on Last.fm users, the artists they listen to and their friendships."""
    lishang = install("lastfm")
    lishang.run("import", "--preset", "lastfm", str(lishang_data / "lastfm"))
    lishang.run("train", "gifts")
    key = lishang.key()
    with lishang.serving() as address:
        yield lishang.client(address, key)


def test_recommendations_are_not_a_popularity_list(lastfm, lishang_data: Path) -> None:
    listeners: Counter[str] = Counter()
    with (lishang_data / "lastfm" / "lastfm.inter").open() as file:
        next(file)
        listeners.update(line.split("\t")[1].strip() for line in file)
    with (lishang_data / "lastfm" / "lastfm.net").open() as file:
        next(file)
        pairs = [line.strip().split("\t") for line in file][:400:20]
    popular = [artist for artist, _ in listeners.most_common(10)]
    answers = []
    for sender, recipient in pairs:
        wish = {"sender": sender, "recipient": recipient, "limit": 10}
        status, answer = lastfm.post("/v1/recommendations/gifts", wish)
        assert status == 200, answer
        assert answer["personalised"], answer
        assert answer["model"] == {"name": "gifts", "version": "1"}
        answers.append([gift["item"] for gift in answer["gifts"]])
        assert {gift["reason"]["code"] for gift in answer["gifts"]} - {"POPULAR"}
    assert all(len(items) == len(set(items)) == 10 for items in answers)
    # A popularity list would be the same for everybody; these are mostly other artists.
    assert mean(len(set(items) - set(popular)) for items in answers) > 5
    assert len({tuple(items) for items in answers}) > len(pairs) / 2
