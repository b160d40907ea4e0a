"""The faulty receiver counts a webhook as verified only if it answered 200."""

from __future__ import annotations

import base64
import hashlib
import hmac
import time
from typing import TYPE_CHECKING

import pytest
import requests

from chaos_tests.actions.faulty_receiver import DEAD, FLAPPING, LATE, FaultyReceiver, Misbehaviour

if TYPE_CHECKING:
    from collections.abc import Iterator

KEY = b"k" * 32
BODY = b'{"type":"order.placed.v1"}'


@pytest.fixture
def receiver() -> Iterator[FaultyReceiver]:
    receiver = FaultyReceiver()
    receiver.secret = f"whsec_{base64.b64encode(KEY).decode()}"
    yield receiver
    receiver.stop()


def send(receiver: FaultyReceiver, webhook_id: str, key: bytes = KEY, session: requests.Session | None = None) -> int:
    sent_at = int(time.time())
    digest = hmac.digest(key, f"{webhook_id}.{sent_at}.".encode() + BODY, hashlib.sha256)
    headers = {
        "webhook-id": webhook_id,
        "webhook-timestamp": str(sent_at),
        "webhook-signature": f"v1,{base64.b64encode(digest).decode()}",
    }
    return (session or requests.Session()).post(receiver.url, data=BODY, headers=headers, timeout=60).status_code


def test_a_flapping_receiver_returns_500_to_every_second_request(receiver: FaultyReceiver) -> None:
    receiver.misbehave(Misbehaviour(FLAPPING))
    assert [send(receiver, name) for name in ("a", "b", "a")] == [500, 200, 500]
    assert receiver.verified == {"b"}
    receiver.behave()
    assert [send(receiver, "a"), send(receiver, "c")] == [200, 200]
    assert receiver.verified == {"a", "b", "c"}


def test_a_dead_receiver_refuses_connections_and_recovers_at_its_address(receiver: FaultyReceiver) -> None:
    receiver.misbehave(Misbehaviour(DEAD))
    with pytest.raises(requests.ConnectionError):
        send(receiver, "a")
    receiver.behave()
    assert send(receiver, "a") == 200
    assert receiver.verified == {"a"}


def test_a_dead_receiver_closes_kept_alive_connections(receiver: FaultyReceiver) -> None:
    with requests.Session() as session:
        assert send(receiver, "a", session=session) == 200
        receiver.misbehave(Misbehaviour(DEAD))
        with pytest.raises(requests.ConnectionError):
            send(receiver, "b", session=session)


def test_a_late_receiver_responds_late(receiver: FaultyReceiver) -> None:
    receiver.misbehave(Misbehaviour(LATE, seconds=0.5))
    began = time.monotonic()
    assert send(receiver, "a") == 200
    assert time.monotonic() - began >= 0.5


def test_an_unsigned_webhook_is_not_verified(receiver: FaultyReceiver) -> None:
    assert send(receiver, "a", key=b"another") == 401
    assert (receiver.verified, receiver.forged) == (set(), 1)
