"""The promises P1 to P5 and P7 as pure checks of the sources. Each returns its violations."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from holdfast.audit.views import INVENTORY, OPEN, ORDERS, PAYMENTS, Finding

if TYPE_CHECKING:
    from collections.abc import Iterator

    from holdfast.audit.views import ArchivedEvent, OrderView, ProductView

PROMISES = {
    "P1": "Nothing accepted is lost",
    "P2": "Nothing happens twice",
    "P3": "Stock is conserved and never oversold",
    "P4": "Money is conserved",
    "P5": "No event disappears",
    "P6": "Subscribers are notified at least once",
    "P7": "An outage is not an error",
}
# Partial refunds, failed attempts and requests for an end may happen more than once; all else happens once.
REFUND_RECORDED = "payment.refund_recorded.v1"
REPEATABLE = frozenset(
    {
        *("payment.refunded.v1", "payment.refund_refused.v1", "payment.refund_retried.v1", REFUND_RECORDED),
        *("attempt.failed.v1", "reservation.overdue.v1", "payment.overdue.v1"),
    }
)
# Errors of an unavailable dependency, by class name (common/errors.py has the whole table).
OUTAGES = frozenset(
    {
        *("Unavailable", "CircuitOpenError", "OperationalError", "InterfaceError", "ConnectionError", "TimeoutError"),
        *("AutoReconnect", "NetworkTimeout", "NotPrimaryError", "ServerSelectionTimeoutError", "APIConnectionError"),
        *("ConnectionRefusedError", "ConnectionResetError", "AMQPConnectionError"),
    }
)
PAID = frozenset({"captured", "partially_refunded", "refunded"})


def check_order(view: OrderView) -> list[Finding]:
    return [
        *_nothing_is_lost(view),
        *_check_single_effects(view),
        *_money_is_conserved(view),
        *_check_no_event_is_missing(view),
    ]


def check_letter(letter: dict[str, Any]) -> list[Finding]:
    """P7: while a dependency is down, events wait; a dead letter because of an outage violates it."""
    if letter["error_class"].rpartition(".")[2] not in OUTAGES:
        return []
    text = f"{letter['event_type']} is a dead letter of {letter['queue']} because of an outage: {letter['error_class']}"
    return [Finding("P7", letter["order_id"] or letter["id"], text)]


def check_product(view: ProductView) -> list[Finding]:
    if view.product is None:
        return [Finding("P3", view.sku, "there are events of a product that the API does not know")]
    return [*_stock_is_conserved(view, view.product), *_product_events_are_whole(view, view.product)]


def _nothing_is_lost(view: OrderView) -> Iterator[Finding]:
    if view.order is None:
        yield Finding("P1", view.id, "there are events or charges of an order that the API does not know")
    elif view.status in OPEN:
        yield Finding("P1", view.id, f"still {view.status}")
    elif view.status == "confirmed":
        if view.count("stock.sold.v1") == 0:
            yield Finding("P1", view.id, "confirmed, but its stock was never sold")
        if view.payment is None or view.payment["status"] not in PAID:
            yield Finding("P1", view.id, "confirmed, but its payment was never captured")
    elif view.count("stock.reserved.v1") > view.count("stock.released.v1"):
        yield Finding("P1", view.id, "cancelled, but its stock is still held")


def _check_single_effects(view: OrderView) -> Iterator[Finding]:
    if len(view.payments) > 1:
        yield Finding("P2", view.id, f"it has {len(view.payments)} payments")
    charged = [charge.id for charge in view.charges if charge.net > 0]
    if len(charged) > 1:
        yield Finding("P2", view.id, f"charged {len(charged)} times: {', '.join(charged)}")
    counts = Counter((event.source, event.type) for event in view.events)
    for (source, event_type), count in counts.items():
        if count > 1 and event_type not in REPEATABLE:
            yield Finding("P2", view.id, f"{event_type} from {source} happened {count} times")
    if view.count("stock.sold.v1") and view.count("stock.released.v1"):
        yield Finding("P2", view.id, "its stock was both sold and released")
    if view.count("order.confirmed.v1") and view.count("order.cancelled.v1"):
        yield Finding("P2", view.id, "it was both confirmed and cancelled")


def _money_is_conserved(view: OrderView) -> Iterator[Finding]:
    """The captured amount at the provider equals the order's total minus refunds, plus recorded external refunds."""
    net = sum(charge.net for charge in view.charges)
    if view.status == "confirmed" and view.order is not None:
        total = view.order["total"]
        refunded = view.payment["refunded"]["amount"] if view.payment else 0
        if net != total["amount"] - refunded + view.elsewhere:
            yield Finding("P4", view.id, f"total {total['amount']}, {_refunds(view)}, but {net} is captured")
        if any(charge.currency != total["currency"] for charge in view.charges if charge.net):
            yield Finding("P4", view.id, f"charged in another currency than {total['currency']}")
    elif view.status not in OPEN and net != view.elsewhere:
        yield Finding("P4", view.id, f"{view.status}, {_refunds(view)}, but {net} is captured{_why(view)}")
    if view.payment and view.order and view.payment["refunded"]["amount"] > view.order["total"]["amount"]:
        yield Finding("P4", view.id, "more was refunded than the order's total")
    recorded = sum(event.data["amount"]["amount"] for event in view.events if _is_external(event))
    if recorded != view.elsewhere:
        text = f"{view.elsewhere} recorded as returned another way, but the archive has records of {recorded}"
        yield Finding("P4", view.id, text)


def _refunds(view: OrderView) -> str:
    refunded = view.payment["refunded"]["amount"] if view.payment else 0
    elsewhere = f" ({view.elsewhere} of it another way)" if view.elsewhere else ""
    return f"recorded refunds {refunded}{elsewhere}"


def _why(view: OrderView) -> str:
    if view.refusal is None or view.payment is None:
        return ""
    tries = f"the provider refuses to refund it ({view.refusal['code']}, {view.refusal['tries']} tries)"
    if view.refusal["standing_since"] is None:
        return f": {tries}, and it is retried at {view.refusal['retry_at']}"
    return f": {tries}, and an operator must decide (holdfast payments retry-refund {view.payment['id']})"


def _is_external(event: ArchivedEvent) -> bool:
    return event.type == REFUND_RECORDED and not event.data["provider_refund_id"]


def _check_no_event_is_missing(view: OrderView) -> Iterator[Finding]:
    for source, resource in ((ORDERS, view.order), (PAYMENTS, view.payment)):
        version = resource["version"] if resource else 0
        yield from _gaps(view.id, source, view.sequences(source), version)
    held = view.sequences(INVENTORY)  # a reservation is not a separate resource, but its events must be complete
    yield from _gaps(view.id, INVENTORY, held, len(held))
    if view.order and view.order["cancel_reason"] == "out_of_stock" and view.count("stock.rejected.v1") == 0:
        yield Finding("P5", view.id, "out of stock, but the archive has no stock.rejected event")


def _product_events_are_whole(view: ProductView, product: dict[str, Any]) -> Iterator[Finding]:
    held = sorted(event.sequence for event in view.events)
    yield from _gaps(view.sku, INVENTORY, held, product["version"])


def _gaps(subject: str, source: str, held: list[int], version: int) -> Iterator[Finding]:
    if held != list(range(1, version + 1)):
        yield Finding("P5", subject, f"{source} is at version {version}, the archive has {held or 'nothing'}")


def _stock_is_conserved(view: ProductView, product: dict[str, Any]) -> Iterator[Finding]:
    on_hand, reserved, sold = product["on_hand"], product["reserved"], product["sold"]
    received = sum(event.data["delta"] for event in view.events if event.type == "stock.adjusted.v1")
    if product["available"] != on_hand - reserved or product["available"] < 0:
        yield Finding("P3", view.sku, f"on hand {on_hand}, reserved {reserved}, available {product['available']}")
    if on_hand != received - sold:
        yield Finding("P3", view.sku, f"received {received}, sold {sold}, but {on_hand} on hand")
    if not view.sold_by_orders <= sold <= view.sold_by_orders + view.moving:
        yield Finding("P3", view.sku, f"{sold} sold, but confirmed orders hold {view.sold_by_orders}")
    if not 0 <= reserved <= view.moving:
        yield Finding("P3", view.sku, f"{reserved} reserved, but open orders hold {view.moving}")
