"""Orders on a real database: acceptance, races, and the facts that arrive about an order."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import text

from common.errors import NotFound
from common.messaging.events import new_id
from common.storage.postgresql import transaction
from services.orders import usecases
from services.orders.domain import CancelReason, NotCancellableError, Status
from services.orders.tests.builders import MESSAGE_CONTEXT, delivery_of, order_command, place, published, together
from services.orders.tests.conftest import THREADS

if TYPE_CHECKING:
    from sqlalchemy import Engine

pytestmark = pytest.mark.integration


def test_an_accepted_order_and_its_event_are_written_together(engine: Engine) -> None:
    placed = usecases.place_order(engine, order_command(quantity=3), MESSAGE_CONTEXT)
    assert not placed.replayed
    (event,) = published(engine, placed.order.id)
    assert (event.type, event.sequence, event.orderid) == ("order.placed.v1", 1, placed.order.id)
    assert event.data["total"] == {"amount": 1350, "currency": "usd"}
    assert event.correlationid == "test"


def test_twenty_concurrent_requests_with_one_key_create_one_order(engine: Engine) -> None:
    same = order_command(key="same")
    placed = together(THREADS, lambda _: usecases.place_order(engine, same, MESSAGE_CONTEXT))
    assert len({result.order.id for result in placed}) == 1
    assert [result.replayed for result in placed].count(False) == 1
    assert len(published(engine, placed[0].order.id)) == 1


def test_an_idempotency_key_belongs_to_one_customer(engine: Engine) -> None:
    first = usecases.place_order(engine, order_command("ann", key="k"), MESSAGE_CONTEXT)
    second = usecases.place_order(engine, order_command("bob", key="k"), MESSAGE_CONTEXT)
    assert first.order.id != second.order.id


def test_a_key_reused_for_another_order_is_rejected(engine: Engine) -> None:
    usecases.place_order(engine, order_command(key="k", fingerprint="one"), MESSAGE_CONTEXT)
    with pytest.raises(usecases.KeyReusedError):
        usecases.place_order(engine, order_command(key="k", fingerprint="other"), MESSAGE_CONTEXT)


def test_a_repeated_request_returns_the_order_as_placed(engine: Engine) -> None:
    same = order_command(key="k")
    first = usecases.place_order(engine, same, MESSAGE_CONTEXT).order
    usecases.cancel_failed_order(
        engine, delivery_of("stock.rejected.v1", first.id), first.id, CancelReason.OUT_OF_STOCK
    )
    with transaction(engine) as connection:
        connection.execute(text("DELETE FROM prices"))  # the current price is irrelevant
    again = usecases.place_order(engine, same, MESSAGE_CONTEXT)
    assert again.replayed
    assert again.order == first


def test_capture_and_reservation_in_either_order_confirm_once(engine: Engine) -> None:
    for facts in (["reserved", "captured"], ["captured", "reserved"]):
        order_id = place(engine)
        for fact in facts * 2:
            _apply_fact(engine, order_id, fact)
        assert _status(engine, order_id) is Status.CONFIRMED
        assert [(e.type, e.sequence) for e in published(engine, order_id)][1:] == [("order.confirmed.v1", 2)]


def test_a_customer_cancels_once(engine: Engine) -> None:
    order_id = place(engine)
    for _ in range(2):
        reply = _cancel(engine, order_id)
        assert reply == {"status": "cancelled", "reason": "customer_request"}
    assert [event.type for event in published(engine, order_id)] == ["order.placed.v1", "order.cancelled.v1"]
    _apply_fact(engine, order_id, "captured")
    assert _status(engine, order_id) is Status.CANCELLED


def test_a_concurrent_cancellation_and_capture_have_one_winner(engine: Engine) -> None:
    for _ in range(10):
        order_id = place(engine)

        def race(number: int, order_id: str = order_id) -> None:
            with suppress(NotCancellableError):
                _apply_fact(engine, order_id, "captured") if number % 2 else _cancel(engine, order_id)

        together(4, race)
        # A late capture causes the same cancellation to be published again.
        types = list({event.id: event.type for event in published(engine, order_id)}.values())
        assert types in (
            ["order.placed.v1", "order.confirmed.v1"],
            ["order.placed.v1", "order.cancelled.v1"],
        )


def test_an_order_of_another_customer_is_not_found(engine: Engine) -> None:
    order_id = place(engine)
    with pytest.raises(NotFound):
        usecases.get_order(engine, order_id, customer_id="bob")
    assert usecases.get_order(engine, order_id, customer_id=None).customer_id == "ann"


def test_a_fact_about_an_unknown_order_is_rejected_permanently(engine: Engine) -> None:
    with pytest.raises(NotFound):
        _apply_fact(engine, new_id(), "captured")


def _apply_fact(engine: Engine, order_id: str, fact: str) -> None:
    if fact == "captured":
        usecases.confirm_order(engine, delivery_of("payment.captured.v1", order_id), order_id)
    else:
        usecases.mark_reserved(engine, delivery_of("stock.reserved.v1", order_id), order_id)


def _cancel(engine: Engine, order_id: str) -> dict[str, object]:
    return usecases.cancel_order(
        engine,
        order_id,
        customer_id="ann",
        request_key=None,
        render=lambda order: {"status": order.status, "reason": order.cancel_reason},
        message_context=MESSAGE_CONTEXT,
    ).body


def _status(engine: Engine, order_id: str) -> Status:
    return usecases.get_order(engine, order_id, customer_id=None).status
