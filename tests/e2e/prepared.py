"""Five failures prepared on a running local stack, to practise with the console or to test it.

`python -m tests.e2e.prepared FAILURE --home .holdfast` prepares one and waits; Enter removes it. The
names: declined-card, poisoned-event, provider-away, undecided-refund, dead-webhook.
"""

import json
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

import click
import pika
import requests

from common.messaging.events import new_id, rfc3339, utc_now
from common.tests.webhook_receiver import Receiver, Reply, receiving
from infrastructure.local.stack import Stack
from tests.e2e.api import answer
from tests.e2e.shop import DECLINED, Json, Shop, cancel_during_charge, place
from tests.e2e.waiting import eventually

ENDPOINTS = "/api/v1/webhook-endpoints"
HOOK = "/hook"
_AWAY = {"fault": "provider-errors", "seconds": 300}
_CHARGED_LATE = {"kind": "hang", "seconds": 2, "after": True, "match": {"operation": "confirm"}, "remaining": 1}
_REFUND_UNDECIDED = {"kind": "undecided", "match": {"operation": "refund"}}


@contextmanager
def declined_card(_: Stack, shop: Shop) -> Iterator[str]:
    """An order whose card is declined; yields its id."""
    order_id = place(shop.customer(), {shop.product(): 1}, DECLINED)["id"]
    shop.ended(order_id, "cancelled", "payment_declined")
    yield order_id


@contextmanager
def poisoned_event(stack: Stack, shop: Shop) -> Iterator[str]:
    """An event that orders cannot handle, among the dead letters; yields its id."""
    event = {
        "specversion": "1.0", "id": new_id(), "source": "/services/inventory", "type": "stock.reserved.v1",
        "subject": new_id(), "time": rfc3339(utc_now()), "sequence": 1, "correlationid": "practice",
        "data": {"order_id": None},
    }  # fmt: skip
    connection = pika.BlockingConnection(pika.URLParameters(stack.urls.rabbitmq))
    properties = pika.BasicProperties(content_type="application/cloudevents+json", delivery_mode=2)
    connection.channel().basic_publish("", "orders.events", json.dumps(event).encode(), properties)
    connection.close()

    def letter() -> list[Json]:
        query = {"type": "stock.reserved.v1", "status": "filed"}
        found: list[Json] = answer(shop.operator.get("/api/v1/dead-letters", **query))["data"]
        return [each for each in found if each["event_id"] == event["id"]]

    [found] = eventually(letter)
    yield str(found["id"])


@contextmanager
def provider_away(stack: Stack, shop: Shop) -> Iterator[str]:
    """The payment provider returns errors, and orders wait; yields the id of one."""
    with _injected(stack, shop, _AWAY):
        customer, sku = shop.customer(), shop.product()
        first, *_ = (place(customer, {sku: 1})["id"] for _ in range(3))
        yield first


@contextmanager
def undecided_refund(stack: Stack, shop: Shop) -> Iterator[str]:
    """A cancelled order was charged, and the provider leaves its refund undecided; yields the order's id."""
    with _faults(stack) as faults:
        order = cancel_during_charge(shop, shop.customer(), faults, _CHARGED_LATE, _REFUND_UNDECIDED)
        eventually(lambda: requests.get(faults, timeout=60).json()["data"][1]["struck"] >= 1)
        yield str(order["id"])


@contextmanager
def dead_webhook(_: Stack, shop: Shop) -> Iterator[tuple[str, Receiver]]:
    """An endpoint that returns 410 is disabled, and its deliveries fail; yields its id and its receiver."""
    with receiving() as receiver:
        receiver.replies[HOOK] = Reply(410, body=b"this shop has moved")
        types = ["order.placed.v1", "order.confirmed.v1"]
        body = {"url": f"{receiver.url}{HOOK}", "event_types": types, "description": "the shop's other system"}
        endpoint_id = answer(shop.operator.post(ENDPOINTS, body), 201)["id"]
        try:
            place_of_it = f"{ENDPOINTS}/{endpoint_id}"
            answer(shop.operator.post(f"{place_of_it}/test"), 202)
            eventually(lambda: not answer(shop.operator.get(place_of_it))["enabled"])
            yield endpoint_id, receiver
        finally:
            shop.operator.delete(f"{ENDPOINTS}/{endpoint_id}")


@contextmanager
def _injected(stack: Stack, shop: Shop, fault: Json) -> Iterator[None]:
    """Inject this fault of the page Break something, which can also remove it."""
    url = f"http://127.0.0.1:{stack.home.port('control')}/api/v1/control"
    headers = {"Authorization": f"Bearer {shop.operator_token}"}

    def post(path: str, body: Json | None = None) -> None:
        # It has no keys yet if it was just restarted and the users service is slow.
        reply = eventually(
            lambda: requests.post(f"{url}/{path}", json=body, headers=headers, timeout=60),
            lambda reply: reply.status_code != 503,
        )
        reply.raise_for_status()

    post("faults", fault)
    try:
        yield
    finally:
        post("undo")


@contextmanager
def _faults(stack: Stack) -> Iterator[str]:
    """The address of the sandbox's faults, which are removed afterwards."""
    url = f"{stack.urls.http('sandbox')}/faults"
    try:
        yield url
    finally:
        requests.delete(url, timeout=60).raise_for_status()


def repair_provider(stack: Stack) -> None:
    """Remove the provider's faults before the end of the block: undecided objects are decided then."""
    requests.delete(f"{stack.urls.http('sandbox')}/faults", timeout=60).raise_for_status()


FAILURES: dict[str, Callable[[Stack, Shop], AbstractContextManager[object]]] = {
    "declined-card": declined_card,
    "poisoned-event": poisoned_event,
    "provider-away": provider_away,
    "undecided-refund": undecided_refund,
    "dead-webhook": dead_webhook,
}


@click.command()
@click.argument("failure", type=click.Choice(list(FAILURES)))
@click.option("--home", default=".holdfast", show_default=True, help="The stack's directory.")
def main(failure: str, home: str) -> None:
    """Prepare a failure, and remove it at Enter."""
    stack = Stack(home)
    with FAILURES[failure](stack, Shop(stack)):
        click.echo(f"{failure} is prepared. Sign in at {stack.urls.http('gateway')}/ as operator and look for it.")
        click.pause("Enter takes away what was broken.")


if __name__ == "__main__":
    main()
