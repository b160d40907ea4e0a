"""A temporary endpoint: registered, subscribed, and deleted at the end."""

from __future__ import annotations

import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, Protocol

import requests

from holdfast.client import ApiError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from holdfast.client import Client

ENDPOINTS = "/api/v1/webhook-endpoints"
SUBSCRIBED_SECONDS = 30.0
PAUSE_SECONDS = 0.2
OF_ORDERS = ("order.placed.v1", "order.confirmed.v1", "order.cancelled.v1")


class Subscriber(Protocol):
    """The URL for webhooks, and the secret that verifies them."""

    @property
    def url(self) -> str: ...

    secret: str


@contextmanager
def subscribed(client: Client, receiver: Subscriber, event_types: Sequence[str]) -> Iterator[dict[str, Any]]:
    """Register `receiver`; the block begins when these types are delivered. Raises `ApiError`, TimeoutError."""
    place = register(client, receiver, event_types)
    try:
        yield wait_until_subscribed(client, place)
    finally:
        with suppress(ApiError, requests.RequestException):
            client.call("DELETE", place)


def register(client: Client, receiver: Subscriber, event_types: Sequence[str]) -> str:
    """Register `receiver` and give it its secret; returns the endpoint's path."""
    body = {"url": receiver.url, "event_types": list(event_types), "description": "holdfast webhooks listen"}
    endpoint = client.post(ENDPOINTS, body)
    receiver.secret = endpoint["secret"]
    return f"{ENDPOINTS}/{endpoint['id']}"


def wait_until_subscribed(client: Client, place: str) -> dict[str, Any]:
    """The endpoint at `place`, once its types are delivered. Raises `ApiError`, TimeoutError."""
    deadline = time.monotonic() + SUBSCRIBED_SECONDS
    while True:
        endpoint: dict[str, Any] = client.get(place)
        if all(each["since"] for each in endpoint["subscriptions"]):
            return endpoint
        if time.monotonic() > deadline:
            raise TimeoutError("the subscription did not begin: does worker-notifications run?")
        time.sleep(PAUSE_SECONDS)
