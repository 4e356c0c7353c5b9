"""The route that sends asks its clock again once nobody else can change what decides."""

from __future__ import annotations

from engine.domain.events import BlockChanged
from engine.ledger import caps, intake


def test_block_that_was_answered_while_a_send_waited_is_seen(counter, monkeypatch) -> None:
    began = counter.at
    with counter.database.writing() as unit:
        intake.receive(unit, [BlockChanged("b", began + 5, "bo", "an", True)], began + 5)
    lock = caps.lock

    def slowly(*told: object) -> None:
        lock(*told)
        counter.at = began + 10

    monkeypatch.setattr(caps, "lock", slowly)
    body = {"sender": "an", "recipient": "bo", "item": "cake", "payment_ref": "p"}
    headers = {**counter.everything, "Idempotency-Key": "waits"}
    told = counter.client.post("/v1/gifts", json=body, headers=headers)
    assert (told.status_code, told.get_json()["verdict"]) == (200, "deny")
