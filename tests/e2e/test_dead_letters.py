"""Dead letters of the whole system, with the operator commands."""

import hashlib
import json
from typing import Any

import pika
import pytest
from click.testing import CliRunner, Result

from chaos_tests.malformed.kinds import KINDS, make, queue_for
from holdfast.cli import main
from infrastructure.local.stack import Stack
from infrastructure.processes import RELATIONAL_CONTEXTS
from tests.e2e.api import answer
from tests.e2e.auditing import audit
from tests.e2e.shop import Customer, Shop, place
from tests.e2e.waiting import eventually

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]
CLOUDEVENTS = "application/cloudevents+json"


class Desk:
    """The operator commands, and the broker for setting up dead letters."""

    def __init__(self, stack: Stack) -> None:
        self._stack = stack

    def run(self, *words: str, given: str | None = None) -> Result:
        return CliRunner().invoke(
            main, ["dead-letters", *words, "--home", str(self._stack.home.path)], input=given, catch_exceptions=False
        )

    def json(self, *words: str) -> Any:
        """What a command reads; it is repeated if the system does not answer in time."""
        read = eventually(lambda: self.run(*words, "--json"), lambda done: done.exit_code == 0)
        return json.loads(read.stdout)

    def discard(self, letter_id: str) -> None:
        """Discard a dead letter; repeated likewise, unless it was discarded although no answer came in time."""

        def is_done() -> bool:
            done = self.run("discard", letter_id, "--reason", "a test")
            return done.exit_code == 0 or bool(self.json("show", letter_id)["status"] == "discarded")

        eventually(is_done)

    def letter(self, *filters: str, of: str) -> dict[str, Any]:
        """Wait for the dead letter whose body contains `of`."""

        def poll() -> dict[str, Any] | None:
            for known in self.json("list", *filters, "--limit", "20"):
                letter: dict[str, Any] = self.json("show", known["id"])
                if of in letter["body"]["content"]:
                    return letter
            return None

        found = eventually(poll)
        assert found is not None
        return found

    def publish(self, queue: str, body: bytes, **properties: Any) -> None:
        connection = pika.BlockingConnection(pika.URLParameters(self._stack.urls.rabbitmq))
        connection.channel().basic_publish("", queue, body, pika.BasicProperties(delivery_mode=2, **properties))
        connection.close()

    def intercept(self, queue: str) -> dict[str, Any]:
        """Take the next event of a queue instead of its consumer."""
        connection = pika.BlockingConnection(pika.URLParameters(self._stack.urls.rabbitmq))
        channel = connection.channel()
        body = eventually(lambda: channel.basic_get(queue, auto_ack=True)[2])
        connection.close()
        event: dict[str, Any] = json.loads(body or b"")
        return event


@pytest.fixture
def desk(stack: Stack) -> Desk:
    return Desk(stack)


def test_a_malformed_event_is_listed_shown_and_discarded(desk: Desk, shop: Shop) -> None:
    mark = shop.product(on_hand=0)
    desk.publish("orders.events", f"garbage \x1b[31m[red]{mark}".encode(), content_type="text/plain")
    letter = desk.letter("--queue", "orders.events", "--error", "InvalidEventError", of=mark)
    assert "content type is text/plain" in letter["error"]
    shown = desk.run("show", letter["id"])
    assert shown.exit_code == 0
    assert f"[red]{mark}" in shown.stdout
    assert "\x1b[31m" not in shown.stdout
    desk.discard(letter["id"])
    assert desk.json("show", letter["id"])["status"] == "discarded"


def test_an_order_with_a_dead_letter_continues_after_an_edited_replay(
    desk: Desk, stack: Stack, shop: Shop, customer: Customer
) -> None:
    sku = shop.product(on_hand=5)
    stack.stop("worker-orders")
    placed = place(customer, {sku: 2})
    event = desk.intercept("orders.events")
    while event.get("orderid") != placed["id"] or event["type"] != "stock.reserved.v1":
        event = desk.intercept("orders.events")
    damaged = json.dumps(event | {"data": {"order_id": None}})
    desk.publish("orders.events", damaged.encode(), content_type=CLOUDEVENTS)
    stack.start("worker-orders")
    letter = desk.letter("--queue", "orders.events", "--type", "stock.reserved.v1", of=placed["id"])
    # The payment has arrived before the event that it depends on.
    eventually(lambda: shop.order(placed["id"])["status"], lambda status: status in ("pending", "confirmed"))

    repaired = desk.run("replay", letter["id"], "--event", "-", given=json.dumps(event))
    assert repaired.exit_code == 0, repaired.output
    shop.ended(placed["id"], "confirmed")
    kept = desk.json("show", letter["id"])
    assert kept["status"] == "replayed"
    assert kept["event"]["data"] == {"order_id": None}
    for _ in range(2):
        assert desk.run("replay", letter["id"], "--event", "-", given=json.dumps(event)).exit_code == 0
    eventually(lambda: shop.stock(sku)["sold"], lambda sold: sold == 2)
    assert audit(stack).found == set()


def test_dead_letters_with_an_unfixed_cause_return_after_a_bulk_replay(desk: Desk, shop: Shop) -> None:
    mark = shop.product(on_hand=0)
    desk.publish("archive.events", f"broken {mark}".encode(), content_type=CLOUDEVENTS)
    letter = desk.letter("--queue", "archive.events", of=mark)
    done = desk.run("replay", "--queue", "archive.events", "--rate", "100")
    assert done.exit_code == 0, done.output
    assert "letters replayed" in done.stdout

    def kinds() -> list[str]:
        return [entry["kind"] for entry in desk.json("show", letter["id"])["history"]]

    # It may return before the outcome of its replay is recorded.
    known = eventually(kinds, lambda known: {"replayed", "returned"} <= set(known))
    assert known[:2] == ["filed", "replay_requested"]
    assert sorted(known[2:]) == ["replayed", "returned"]
    desk.discard(letter["id"])


def test_every_kind_of_malformed_message_is_stored_without_a_restart(desk: Desk, stack: Stack, shop: Shop) -> None:
    before = {process["name"]: process["pid"] for process in stack.status()["processes"]}
    run, sent = shop.product(on_hand=0), set()
    for number, kind in enumerate(KINDS):
        body, properties = make(kind, run, number)
        desk.publish(queue_for(kind, number), body, **properties)
        sent.add(hashlib.sha256(body).hexdigest())

    def filed() -> list[str]:
        letters = [desk.json("show", known["id"]) for known in desk.json("list", "--limit", str(2 * len(KINDS)))]
        return [letter["id"] for letter in letters if letter["body"]["sha256"] in sent]

    letters = eventually(filed, lambda found: len(found) == len(KINDS))
    for letter_id in letters:
        desk.discard(letter_id)
    assert {process["name"]: process["pid"] for process in stack.status()["processes"]} == before


def test_usage_errors_and_unknown_ids_have_exit_codes(desk: Desk) -> None:
    assert desk.run("replay").exit_code == 2
    assert desk.run("replay", "x", "--all").exit_code == 2
    assert desk.run("replay", "x", "--event", "-", given="no JSON").exit_code == 2
    assert desk.run("discard", "x").exit_code == 2
    assert desk.run("show", "x").exit_code == 1
    assert desk.run("list", "--status", "lost").exit_code == 2


def test_the_system_view_contains_every_process(shop: Shop, stack: Stack) -> None:
    running = {process["name"] for process in stack.status()["processes"]}
    ours = {name for name in running if name.startswith(("service-", "worker-", "relay-", "scheduler"))}

    def is_whole(view: dict[str, Any]) -> bool:
        """Whether all answered in time, and each outbox has a relay; after a stall another one may take over first."""
        alive = {worker["name"] for worker in view["workers"] if worker["alive"]}
        consumers = {queue["name"]: queue["consumers"] for queue in view["queues"] or ()}
        is_read = not view["unanswered"] and alive >= ours and consumers.get("operations.dead-letters") == 1
        return bool(is_read and all(outbox["relay"] for outbox in view["outboxes"]))

    view = eventually(lambda: answer(shop.operator.get("/api/v1/system")), is_whole)
    assert {outbox["database"] for outbox in view["outboxes"]} == set(RELATIONAL_CONTEXTS)
    assert {breaker["breaker"] for breaker in view["breakers"]} >= {"payment_provider", "mongodb"}
    assert {sweep["context"] for sweep in view["sweeps"]} >= {"orders", "payments", "inventory"}
