"""A delivery is signed, bounded in time, followed nowhere, and failed unless it is answered 2xx."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing

import pytest

from api.webhook_client import MOST_ANSWER, DeliveryFailed, WebhookClient
from engine.domain.webhooks import new_secret

SECRET = new_secret()
AT = 1_700_000_000_123_456
BODY = '{"id":"gift_1_1","什么":1}'.encode()
Make = Callable[..., WebhookClient]


@pytest.fixture
def stopping() -> threading.Event:
    return threading.Event()


@pytest.fixture
def make(stopping: threading.Event) -> Iterator[Make]:
    """Makes clients that are closed at the end."""
    made: list[WebhookClient] = []

    def one(url: str, **told: object) -> WebhookClient:
        made.append(WebhookClient(url, SECRET, stopping, **{"limit": 30.0, **told}))
        return made[-1]

    yield one
    for client in made:
        client.close()


def deliver(client: WebhookClient, message: str = "gift_1_1") -> None:
    client.deliver(message, BODY, AT)


def test_delivery_is_one_signed_post_with_its_time(receiver, make) -> None:
    deliver(make(receiver.url))
    [received] = receiver.received
    assert (received.path, received.body) == ("/hooks?for=gifts", BODY)
    assert received.headers["webhook-id"] == "gift_1_1"
    assert received.headers["webhook-timestamp"] == "1700000000"
    assert received.headers["content-type"] == "application/json"
    assert received.headers["host"] == f"localhost:{receiver.port}"
    assert received.is_signed_with(SECRET)
    assert not received.is_signed_with(new_secret())


def test_deliveries_share_a_connection(receiver, make) -> None:
    client = make(receiver.url)
    receiver.behave = lambda request: request.answer(200, b"thank you" * 100)
    for number in range(5):
        deliver(client, f"gift_1_{number}")
    assert receiver.messages == [f"gift_1_{number}" for number in range(5)]
    assert len({one.connection for one in receiver.received}) == 1


def test_delivery_goes_on_when_the_receiver_closed_the_connection_meanwhile(receiver, make) -> None:
    client = make(receiver.url)

    def answer_and_leave(request) -> None:
        request.answer(200)
        request.close_connection = True

    receiver.does(answer_and_leave)
    for number in range(3):
        deliver(client, f"gift_1_{number}")
        time.sleep(0.05)
    assert receiver.messages == ["gift_1_0", "gift_1_1", "gift_1_2"]


def test_answer_of_any_length_is_an_answer(receiver, make) -> None:
    client = make(receiver.url)
    receiver.behave = lambda request: request.answer(200, b"x" * (4 * MOST_ANSWER))
    deliver(client)
    deliver(client)
    receiver.behave = lambda request: request.answer(202, b"", Connection="close")
    deliver(client)
    deliver(client)
    assert len(receiver.received) == 4


@pytest.mark.parametrize("status", [300, 304, 400, 404, 410, 429, 500, 503])
def test_answer_that_is_not_2xx_is_a_failure(receiver, make, status: int) -> None:
    receiver.answers(status, 204)
    client = make(receiver.url)
    with pytest.raises(DeliveryFailed, match=f"answered {status}"):
        deliver(client)
    deliver(client)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirect_is_not_followed(receiver, another_receiver, make, status: int) -> None:
    receiver.behave = lambda request: request.answer(status, b"", Location=another_receiver.url)
    with pytest.raises(DeliveryFailed, match=f"answered {status}"):
        deliver(make(receiver.url))
    assert another_receiver.received == []


@pytest.mark.parametrize("conduct", ["hang", "dribble"])
def test_receiver_that_does_not_finish_is_given_up_in_time(receiver, make, conduct: str) -> None:
    receiver.behave = getattr(receiver, conduct)
    begun = time.monotonic()
    with pytest.raises(DeliveryFailed, match=r"no answer within 0\.5 s"):
        deliver(make(receiver.url, limit=0.5))
    assert time.monotonic() - begun >= 0.5
    receiver.answers(204)
    deliver(make(receiver.url))


def test_receiver_that_cuts_off_is_a_failure(receiver, make) -> None:
    receiver.does(receiver.drop)
    with pytest.raises(DeliveryFailed):
        deliver(make(receiver.url))


def test_receiver_that_cuts_off_a_used_connection_is_asked_once_more(receiver, make) -> None:
    client = make(receiver.url)
    receiver.does(lambda request: request.answer(204), receiver.drop, receiver.drop)
    deliver(client)
    with pytest.raises(DeliveryFailed):
        deliver(client, "gift_1_2")
    assert receiver.messages == ["gift_1_1", "gift_1_2", "gift_1_2"]


@pytest.mark.parametrize(
    "answer",
    [
        b"garbage\r\n\r\n",
        b"HTTP/1.1 abc OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"X: " + b"y" * 100_000 + b"\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 1_000 + b"\r\n",
    ],
)
def test_answer_that_is_no_http_is_a_failure(receiver, make, answer: bytes) -> None:
    def say(request) -> None:
        request.wfile.write(answer)
        receiver.drop(request)

    receiver.does(say)
    with pytest.raises(DeliveryFailed):
        deliver(make(receiver.url))


def test_fault_that_a_receiver_words_is_short(receiver, make) -> None:
    def say(request) -> None:
        request.wfile.write(b"\x00" * 60_000 + b"\r\n\r\n")
        receiver.drop(request)

    receiver.does(say)
    with pytest.raises(DeliveryFailed) as failed:
        deliver(make(receiver.url))
    assert failed.value.message.isprintable()
    assert len(failed.value.message) <= 200


def test_answer_cut_off_after_its_status_is_an_answer(receiver, make) -> None:
    def say(request) -> None:
        request.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nshort")
        receiver.drop(request)

    receiver.does(say, lambda request: request.answer(204))
    client = make(receiver.url)
    deliver(client)
    deliver(client, "gift_1_2")
    assert receiver.messages == ["gift_1_1", "gift_1_2"]


def test_receiver_that_is_not_there_is_a_failure(make) -> None:
    with closing(socket.socket()) as taken:
        taken.bind(("127.0.0.1", 0))  # and never listened on
        port = taken.getsockname()[1]
        with pytest.raises(DeliveryFailed, match="ConnectionRefusedError"):
            deliver(make(f"http://127.0.0.1:{port}/"))


def test_receiver_of_no_known_name_is_a_failure(make) -> None:
    with pytest.raises(DeliveryFailed):
        deliver(make("http://no-such-host.invalid/"))


def test_delivery_is_given_up_when_the_worker_stops(receiver, make, stopping, wait_until) -> None:
    receiver.behave = receiver.hang
    client, faults = make(receiver.url), []

    def attempt() -> None:
        try:
            deliver(client)
        except DeliveryFailed as error:
            faults.append(error.message)

    thread = threading.Thread(target=attempt)
    thread.start()
    wait_until(lambda: receiver.received)
    stopping.set()
    thread.join(20)
    assert not thread.is_alive()
    assert "this worker stops" in faults[0]


def test_delivery_over_tls_reaches_whom_we_trust(certified, make) -> None:
    client = make(certified.receiver.url, tls=certified.trusting)
    deliver(client)
    deliver(client, "gift_1_2")
    first, second = certified.receiver.received
    assert first.is_signed_with(SECRET)
    assert first.connection == second.connection


def test_delivery_over_tls_to_whom_we_do_not_trust_is_a_failure(certified, make) -> None:
    with pytest.raises(DeliveryFailed, match="certificate verify failed"):
        deliver(make(certified.receiver.url))
    elsewhere = certified.receiver.url.replace("localhost", "127.0.0.1")
    with pytest.raises(DeliveryFailed, match="certificate verify failed"):
        deliver(make(elsewhere, tls=certified.trusting))
    assert certified.receiver.received == []


@pytest.mark.parametrize("conduct", ["hang", "dribble"])
def test_receiver_over_tls_that_does_not_finish_is_given_up(certified, make, conduct: str) -> None:
    certified.receiver.behave = getattr(certified.receiver, conduct)
    with pytest.raises(DeliveryFailed, match="no answer within 1 s"):
        deliver(make(certified.receiver.url, tls=certified.trusting, limit=1.0))


def test_receiver_that_never_ends_its_handshake_is_given_up(make) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as silent:
        port = silent.getsockname()[1]
        with pytest.raises(DeliveryFailed):
            deliver(make(f"https://127.0.0.1:{port}/", limit=0.5))
