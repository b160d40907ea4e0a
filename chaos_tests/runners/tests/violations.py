"""Violations that are planted into the history of a valid run."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from chaos_tests.runners.checker.check import check
from chaos_tests.runners.checker.synthetic import START, WALL, Made, make
from chaos_tests.runners.checker.verdict import Verdict
from chaos_tests.runners.history import FAIL, INFO, OK
from holdfast.audit.views import ArchivedEvent, Charge, OrderView

WISHES = 150


def judged(plant: Callable[[Made], None]) -> Verdict:
    made = make(WISHES)
    plant(made)
    return check(made.records, made.snapshot)


def pick(made: Made, status: str, reason: str | None = None) -> OrderView:
    """An order with this outcome."""
    known = made.snapshot.orders.values()
    return next(view for view in known if view.order and (view.status, view.order["cancel_reason"]) == (status, reason))


def put(made: Made, view: OrderView, **changes: Any) -> None:
    """Change the API's data of an order."""
    made.snapshot.orders[view.id] = replace(view, order=(view.order or {}) | changes)


def events_without(view: OrderView, kind: str) -> OrderView:
    return replace(view, events=tuple(event for event in view.events if event.type != kind))


def record(made: Made, kind: str, **value: Any) -> dict[str, Any]:
    """The first record of that kind with these values."""
    return next(r for r in made.records if r["kind"] == kind and value.items() <= r.items())


def is_lost(made: Made) -> None:
    del made.snapshot.orders[pick(made, "confirmed").id]


def stays_open(made: Made) -> None:
    put(made, pick(made, "confirmed"), status="reserved")


def is_not_found(made: Made) -> None:
    made.operation("client-0", "read", {"id": pick(made, "confirmed").id}, FAIL, error="404 not_found")


def goes_back(made: Made) -> None:
    view = pick(made, "confirmed")
    made.now += 1
    made.operation("client-0", "read", {"id": view.id}, id=view.id, status="pending", version=1)


def was_seen_otherwise(made: Made) -> None:
    view = pick(made, "cancelled", "payment_declined")
    made.now += 1
    made.operation("client-0", "read", {"id": view.id}, id=view.id, status="confirmed", version=2)


def cancellation_is_forgotten(made: Made) -> None:
    view = pick(made, "confirmed")
    made.operation("client-0", "cancel", {"id": view.id, "attempt": 0}, id=view.id, status="cancelled", version=2)


def repetition_makes_another(made: Made) -> None:
    view, other = list(made.snapshot.orders.values())[:2]
    placed = next(r for r in made.records if r.get("f") == "place" and r["value"].get("id") == view.id)
    placed["value"]["id"] = other.id


def unanswered_makes_two(made: Made) -> None:
    """The client's first attempt got no response, but both attempts created an order."""
    view = pick(made, "confirmed")
    twin = f"{view.id[:-1]}f"
    made.snapshot.orders[twin] = replace(view, id=twin)


def comes_from_nowhere(made: Made) -> None:
    view = pick(made, "confirmed")
    assert view.order is not None
    put(made, replace(view, id=f"{view.id[:-1]}f"), items=[{"sku": "R0-TEA-00", "quantity": 77}])


def was_refused(made: Made) -> None:
    view = pick(made, "cancelled", "out_of_stock")
    placed = next(r for r in made.records if r.get("f") == "place" and r["value"].get("id") == view.id)
    placed.update(type=FAIL, value={}, error="422 unknown_sku")


def is_charged_twice(made: Made) -> None:
    view = pick(made, "confirmed")
    again = Charge("pi_again", view.id, view.charges[0].captured, 0, "usd")
    made.snapshot.orders[view.id] = replace(view, charges=(*view.charges, again))


def happens_twice(made: Made) -> None:
    view = pick(made, "confirmed")
    made.snapshot.orders[view.id] = replace(view, events=(*view.events, replace(view.events[-1], id="x", sequence=3)))


def is_oversold(made: Made) -> None:
    numbers = {"on_hand": 0, "reserved": 1, "available": -1, "sold": 5, "version": 9}
    made.operation("client-0", "stock", {"sku": "R0-RARE-0"}, OK, error=None, sku="R0-RARE-0", **numbers)


def lacks_a_piece(made: Made) -> None:
    view = made.snapshot.products["R0-TEA-03"]
    assert view.product is not None
    view.product["on_hand"] -= 1
    view.product["available"] -= 1


def is_restocked_twice(made: Made) -> None:
    """The operator's repeated request was applied as well, and all numbers and events agree with that."""
    view = made.snapshot.products["R0-TEA-03"]
    assert view.product is not None
    value = {"sku": view.sku, "delta": 4, "key": "k", "attempt": 0}
    made.operation("operator", "restock", value, INFO, error="TimeoutError")
    made.operation("operator", "restock", value | {"attempt": 1}, OK)
    view.product["on_hand"] += 8
    view.product["available"] += 8
    view.events[1].data["delta"] += 8


def keeps_the_money(made: Made) -> None:
    view = pick(made, "cancelled", "customer_request")
    made.snapshot.orders[view.id] = replace(view, charges=(Charge("pi", view.id, 500, 0, "usd"),))


def costs_something_else(made: Made) -> None:
    view = pick(made, "confirmed")
    assert view.order is not None
    total = view.order["total"]["amount"] + 1
    put(
        made,
        replace(view, charges=(Charge("pi", view.id, total, 0, "usd"),)),
        total={"amount": total, "currency": "usd"},
    )


def declined_and_confirmed(made: Made) -> None:
    declined, bought = pick(made, "cancelled", "payment_declined"), pick(made, "confirmed")
    assert declined.order is not None
    charge = Charge("pi", declined.id, declined.order["total"]["amount"], 0, "usd")
    events = tuple(replace(event, subject=declined.id) for event in bought.events)
    as_bought = replace(declined, payments=bought.payments, charges=(charge,), events=events)
    put(made, as_bought, status="confirmed", cancel_reason=None)


def loses_an_event(made: Made) -> None:
    view = pick(made, "confirmed")
    made.snapshot.orders[view.id] = events_without(view, "payment.captured.v1")


def loses_the_last_event(made: Made) -> None:
    view = pick(made, "confirmed")
    made.snapshot.orders[view.id] = events_without(view, "order.confirmed.v1")


def window(made: Made) -> str:
    """A time during the fault, in the system's format."""
    began = record(made, "fault")["began"]
    return datetime.fromtimestamp(WALL + began - START + 0.005, UTC).isoformat()


def dies_of_an_outage(made: Made) -> None:
    letter = {"id": "l", "status": "filed", "queue": "orders.events", "reason": "attempts_exhausted"}
    made.snapshot.letters.append(letter | {"error_class": "psycopg2.OperationalError", "failed_at": window(made)})


def uses_up_an_attempt(made: Made) -> None:
    view = pick(made, "confirmed")
    event = ArchivedEvent("a", "attempt.failed.v1", "/workers/orders", view.id, 1, window(made), {})
    made.snapshot.orders[view.id] = replace(view, events=(*view.events, event))


def letter_without_a_reason(made: Made) -> None:
    record(made, "fault")["dead_letters"] = 1
    made.snapshot.letters.append(
        {"id": "l", "status": "filed", "queue": "q", "reason": "", "error_class": "", "failed_at": window(made)}
    )


PLANTED = {
    "P1": [is_lost, stays_open, is_not_found, goes_back, was_seen_otherwise, cancellation_is_forgotten],
    "P2": [
        *(repetition_makes_another, unanswered_makes_two, comes_from_nowhere),
        *(was_refused, is_charged_twice, happens_twice),
    ],
    "P3": [is_oversold, lacks_a_piece, is_restocked_twice],
    "P4": [keeps_the_money, costs_something_else, declined_and_confirmed],
    "P5": [loses_an_event, loses_the_last_event, letter_without_a_reason],
    "P7": [dies_of_an_outage, uses_up_an_attempt],
}
