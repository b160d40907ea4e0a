"""The contract: published events match the golden samples, with which the consumers are tested."""

from __future__ import annotations

from pathlib import Path

import pytest

from common.messaging.events import Contract, Event, InvalidEventError, MessageContext, from_json
from common.money import Money
from services.inventory import producers
from services.inventory.domain import Line, Product, Reason, Refusal, Reservation, Status, Stock

SAMPLES = Path(__file__).parents[3] / "tests" / "contracts"
ORDER = "01928f6e-7c1a-7b30-9a55-3c1d0e5f7a10"
KETTLE = Product(sku="KETTLE-RED", name="A red kettle", price=Money(1999, "usd"), stock=Stock(on_hand=10), version=1)
RESERVATION = Reservation(
    order_id=ORDER,
    status=Status.HELD,
    lines=(Line("KETTLE-RED", 2), Line("TEA-EARL-GREY", 1)),
    version=1,
)


def product(**changes: object) -> Product:
    return Product(**({name: getattr(KETTLE, name) for name in Product.__slots__} | changes))


def settled() -> Reservation:
    return Reservation(order_id=ORDER, status=Status.SOLD, lines=RESERVATION.lines, version=2)


def made(message_context: MessageContext) -> list[Event]:
    changed = product(name="A red kettle, 1.7 l", price=Money(2199, "usd"), version=3)
    return [
        producers.product_listed(KETTLE, message_context),
        producers.product_changed(changed, message_context),
        producers.stock_adjusted(product(version=2), delta=10, reason="initial", message_context=message_context),
        producers.stock_reserved(RESERVATION, message_context),
        producers.stock_rejected(RESERVATION, Refusal(Reason.OUT_OF_STOCK, "TEA-EARL-GREY"), message_context),
        producers.stock_sold(settled(), message_context),
        producers.stock_released(settled(), message_context),
        producers.reservation_overdue(settled(), message_context),
    ]


@pytest.mark.parametrize("contract", producers.CONTRACTS, ids=lambda contract: contract.type)
def test_published_events_match_the_golden_samples(contract: Contract) -> None:
    sample = from_json((SAMPLES / f"{contract.type}.json").read_bytes())
    message_context = MessageContext(sample.correlationid, sample.causationid, sample.traceparent)
    (event,) = [event for event in made(message_context) if event.type == contract.type]
    expected = sample.to_document() | {"id": event.id, "time": event.time}
    assert from_json(event.to_json()).to_document() == expected


@pytest.mark.parametrize("contract", producers.CONTRACTS, ids=lambda contract: contract.type)
def test_an_event_that_violates_its_contract_is_not_published(contract: Contract) -> None:
    data = from_json((SAMPLES / f"{contract.type}.json").read_bytes()).data
    for bad in (
        {},
        data | {"more": 1},
        *({name: value for name, value in data.items() if name != left} for left in data),
    ):
        with pytest.raises(InvalidEventError):
            contract.event(subject="x", sequence=1, data=bad, message_context=MessageContext("test"))
