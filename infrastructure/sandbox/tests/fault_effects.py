"""Requests and checks for the tests of injected faults."""

import socket
import struct
import time
import uuid

import requests
import stripe

from infrastructure.sandbox.tests.process import KEY, SandboxProcess

SECONDS = 60.0
FORM = "amount=1999&currency=usd&payment_method=pm_card_visa&confirm=true"


def tagged() -> dict[str, str]:
    """Metadata to find an intent whose response was lost."""
    return {"order_id": str(uuid.uuid4())}


def made_with(client: stripe.StripeClient, metadata: dict[str, str]) -> list[stripe.PaymentIntent]:
    newest = client.v1.payment_intents.list({"limit": 100}).data
    return [intent for intent in newest if intent.metadata.to_dict() == metadata]


def wait_until_made(client: stripe.StripeClient, metadata: dict[str, str]) -> stripe.PaymentIntent:
    """The only intent with this metadata; a client that has left does not know when its request is executed."""
    deadline = time.monotonic() + SECONDS
    while not (found := made_with(client, metadata)):
        assert time.monotonic() < deadline, "the intent was not made"
        time.sleep(0.05)
    (made,) = found
    return made


def struck(sandbox: SandboxProcess) -> list[int]:
    return [fault["struck"] for fault in requests.get(f"{sandbox.url}/faults", timeout=60).json()["data"]]


def wait_until_struck(sandbox: SandboxProcess, times: int = 1) -> None:
    deadline = time.monotonic() + SECONDS
    while struck(sandbox) != [times]:
        assert time.monotonic() < deadline, "the fault did not strike"
        time.sleep(0.05)


def raw(sandbox: SandboxProcess) -> socket.socket:
    """A connection with one sent create request, whose response was not read."""
    connection = socket.create_connection(("127.0.0.1", sandbox.port), timeout=60)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 0, 0))
    head = f"POST /v1/payment_intents HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {KEY}\r\n"
    kind = "Content-Type: application/x-www-form-urlencoded\r\n"
    connection.sendall(f"{head}{kind}Content-Length: {len(FORM)}\r\n\r\n{FORM}".encode())
    return connection
