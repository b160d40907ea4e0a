"""The receiver of `holdfast webhooks listen` verifies the same signatures as the public library.

Also tests `receiver.py`, `subscribing.py`.
"""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
import requests
from standardwebhooks import Webhook

from holdfast.commands.webhooks import line
from holdfast.webhooks.receiver import MAX_BODY_BYTES, NotVerifiedError, Receiver, receiving, verify
from holdfast.webhooks.subscribing import subscribed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
BODY = json.dumps({"type": "order.placed.v1", "timestamp": "now", "subject": "1", "data": {"a": 1}})


def signed(body: str = BODY, secret: str = SECRET, at: float | None = None) -> dict[str, str]:
    """The signature headers of the public library."""
    moment = datetime.fromtimestamp(at or time.time(), UTC)
    return {
        "webhook-id": "msg-1",
        "webhook-timestamp": str(int(moment.timestamp())),
        "webhook-signature": Webhook(secret).sign("msg-1", moment, body),
    }


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as found:
        found.secret = SECRET
        yield found


def post(receiver: Receiver, headers: dict[str, str], body: str | bytes = BODY) -> int:
    return requests.post(receiver.url, data=body, headers=headers, timeout=60).status_code


def test_signatures_of_the_public_library_are_verified(receiver: Receiver) -> None:
    assert post(receiver, signed()) == 200
    webhook = receiver.received.get(timeout=60)
    assert (webhook.problem, webhook.payload["data"]) == ("", {"a": 1})
    assert line(webhook).startswith("verified")


FORGERIES: dict[str, Callable[[], dict[str, str]]] = {
    "other body": lambda: signed(BODY + " "),
    "other secret": lambda: signed(secret="whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"),
    "old": lambda: signed(at=time.time() - 3600),
    "no signature": lambda: signed() | {"webhook-signature": ""},
    "no time": lambda: signed() | {"webhook-timestamp": "x"},
    "nothing": dict,
}


@pytest.mark.parametrize("forgery", FORGERIES)
def test_other_signatures_are_rejected(receiver: Receiver, forgery: str) -> None:
    assert post(receiver, FORGERIES[forgery]()) == 401
    assert line(receiver.received.get(timeout=60)).startswith("NOT VERIFIED")


def test_one_valid_signature_of_several_is_sufficient() -> None:
    headers = signed()
    headers["webhook-signature"] = "v1,AAAA v2,x " + headers["webhook-signature"]
    assert verify(SECRET, headers, BODY.encode(), now=time.time())
    with pytest.raises(NotVerifiedError):
        verify(SECRET, signed("[]"), b"[]", now=time.time())


def test_a_too_large_body_is_not_read(receiver: Receiver) -> None:
    assert post(receiver, signed(), b"x" * (MAX_BODY_BYTES + 1)) == 413


def test_webhooks_get_503_before_the_secret_is_known() -> None:
    with receiving() as receiver:
        assert post(receiver, signed()) == 503


class Api:
    """An API that registers one endpoint, whose subscription begins at the third poll."""

    def __init__(self) -> None:
        self.calls: list[str] = []

    def post(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        self.calls.append(f"POST {path} {body['url']}")
        return {"id": "1", "secret": SECRET}

    def get(self, path: str) -> dict[str, Any]:
        self.calls.append(f"GET {path}")
        since = "now" if len(self.calls) > 3 else None
        return {"id": "1", "subscriptions": [{"event_type": "order.placed.v1", "since": since}]}

    def call(self, method: str, path: str) -> None:
        self.calls.append(f"{method} {path}")


def test_the_endpoint_is_deleted_with_its_listener() -> None:
    api: Any = Api()
    with receiving() as receiver, subscribed(api, receiver, ["order.placed.v1"]) as endpoint:
        assert endpoint["subscriptions"][0]["since"]
        assert receiver.secret == SECRET
    assert api.calls[0] == f"POST /api/v1/webhook-endpoints {receiver.url}"
    assert api.calls[-1] == "DELETE /api/v1/webhook-endpoints/1"
