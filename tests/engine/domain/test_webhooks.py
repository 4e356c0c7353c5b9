"""Deliveries are signed as others verify them, go where they may, and wait longer each time."""

from __future__ import annotations

import base64
import shutil
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.domain.errors import InvalidInput
from engine.domain.webhooks import (
    FIRST_DELAY,
    LONGEST_DELAY,
    checked_url,
    delay_after,
    new_secret,
    signature,
)

PUBLISHED = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
"""The secret of the example that the verifiers' own documentation gives."""


def test_signature_of_the_published_example_is_the_published_one() -> None:
    found = signature(
        PUBLISHED, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}'
    )
    assert found == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not installed")
def test_signature_is_what_openssl_computes() -> None:
    secret, body = new_secret(), '{"什么":1}'.encode()
    key = base64.b64decode(secret.removeprefix("whsec_"))
    assert len(key) == 32
    done = subprocess.run(
        ["openssl", "dgst", "-sha256", "-mac", "HMAC", "-macopt", f"hexkey:{key.hex()}", "-binary"],
        input=b"gift_1_2.1700000000." + body,
        capture_output=True,
        check=True,
    )
    expected = "v1," + base64.b64encode(done.stdout).decode()
    assert signature(secret, "gift_1_2", 1_700_000_000, body) == expected


def test_secrets_are_all_different() -> None:
    assert len({new_secret() for _ in range(100)}) == 100


@pytest.mark.parametrize(
    "url",
    [
        "https://shop.example/hooks?for=gifts",
        "https://10.0.0.7:8443/",
        "https://[2001:db8::1]/x",
        "https://shop.example.",
        "http://localhost:8000/x",
        "http://127.0.0.1/x",
        "http://127.9.9.9/x",
        "http://[::1]:80/x",
    ],
)
def test_url_that_may_be_told_is_taken_as_it_is(url: str) -> None:
    assert checked_url(url) == url


@pytest.mark.parametrize(
    "url",
    [
        "",
        "shop.example",
        "ftp://shop.example/",
        "file:///etc/passwd",
        "https://",
        "https:///path",
        "https://shop.example:0/",
        "https://shop.example:99999/",
        "https://shop.example:x/",
        "https://user@shop.example/",
        "https://user:secret@shop.example/",
        "https://shop.example/#part",
        "https://shop.example/a b",
        "https://shop.example/\r\nX-Evil: 1",
        "https://商店.example/",
        "https://-shop-.example/",
        "https://" + "a" * 64 + ".example/",
        "https://999.1.1.1/",
        "https://[::g]/",
        "https://shop.example/" + "a" * 2_048,
    ],
)
def test_url_that_cannot_be_told_is_refused_even_when_insecure(url: str) -> None:
    with pytest.raises(InvalidInput):
        checked_url(url, insecure=True)


@pytest.mark.parametrize(
    "url", ["http://shop.example/", "http://127.0.0.1.example/", "http://10.0.0.7/"]
)
def test_url_without_tls_is_refused_unless_asked_for(url: str) -> None:
    with pytest.raises(InvalidInput, match="TLS"):
        checked_url(url)
    assert checked_url(url, insecure=True) == url


@given(st.integers(1, 10_000), st.floats(0, 1))
def test_delay_doubles_to_its_bound_and_half_of_it_is_chance(attempts: int, chance: float) -> None:
    delay = delay_after(attempts, chance)
    whole = min(FIRST_DELAY * 2 ** (attempts - 1), LONGEST_DELAY)
    assert whole / 2 <= delay <= whole
    assert delay_after(attempts, 0) * 2 == delay_after(attempts, 1) == whole
    assert delay_after(attempts + 1, chance) >= delay
