"""Replaces databases, time and log by simulations in the use cases only.

Events are passed as objects, without JSON and schemas, which have their own tests and would take four fifths of the
time.
"""

from __future__ import annotations

import itertools
from contextlib import contextmanager
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

import common.messaging.inbox
import common.messaging.outbox
from common.messaging.events import Contract, Event, MessageContext
from services.inventory import usecases as inventory
from services.orders import timeouts
from services.orders import usecases as orders
from services.payments import facts, open_cases, outcomes, refunding, refunds, settlement
from services.payments import usecases as payments
from tests.schedules.tables import InventoryTables, OrderTables, PaymentTables, RefundTables, Tables, record_facts
from workers.inventory import consumers as inventory_consumers
from workers.orders import consumers as orders_consumers
from workers.payments import consumers as payments_consumers

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_QUIET = SimpleNamespace(info=lambda *_, **__: None, exception=lambda *_, **__: None)
_TABLES: dict[Any, dict[str, Any]] = {
    orders: {"models": OrderTables},
    timeouts: {"models": OrderTables, "clock": OrderTables},
    inventory: {"models": InventoryTables, "reservations": InventoryTables},
    facts: {"record": record_facts},
    payments: {"models": PaymentTables, "ledger": RefundTables},
    settlement: {"models": PaymentTables, "ledger": RefundTables},
    outcomes: {"models": PaymentTables, "ledger": RefundTables},
    refunding: {"models": PaymentTables, "ledger": RefundTables},
    open_cases: {"models": PaymentTables, "ledger": RefundTables},
    refunds: {"REFUND_TRIES": 2},  # otherwise few schedules get this far
    common.messaging.inbox: {},
    common.messaging.outbox: {
        "_values": lambda _connection, event: {"event_id": "", "type": "", "correlation_id": "", "body": event}
    },
    inventory_consumers: {},
    orders_consumers: {},
    payments_consumers: {},
}


@contextmanager
def simulated(at: Callable[[str], None]) -> Iterator[pytest.MonkeyPatch]:
    """Within the block the use cases use `Tables`, and call `at` at each crash point."""
    everywhere: dict[str, Any] = {
        "transaction": Tables.transaction,
        "autocommit": Tables.autocommit,
        "crash_point": at,
        "origin": _origin,
        "begin": _begin,
        "claim": _claim,
        "_log": _QUIET,
        "read": lambda _schema, event: event.data,
        "AboutOrder": lambda: None,
        "OrderPlaced": lambda: None,
        "new_id": _new_id,
    }
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Contract, "event", _event)
        for module, tables in _TABLES.items():
            for name, value in (everywhere | tables).items():
                if hasattr(module, name):
                    patch.setattr(module, name, value)
        yield patch


_numbers = itertools.count()


def _new_id() -> str:
    return f"{next(_numbers):09}"


def _event(
    self: Contract, *, subject: str, sequence: int, data: dict[str, Any], message_context: MessageContext, order_id: str
) -> Event:
    return Event(
        id=_new_id(),
        source=self.source,
        type=self.type,
        subject=subject,
        time="",
        sequence=sequence,
        correlationid="",
        causationid=message_context.causation_id,
        orderid=order_id,
        data=data,
    )


@contextmanager
def _origin(_name: str, **_: Any) -> Iterator[MessageContext]:
    yield MessageContext("sweep")


@contextmanager
def _claim(_connection: Tables, _key: None) -> Iterator[Any]:
    yield SimpleNamespace(reply=None, store=lambda *_: None)


def _begin(_connection: Tables, _key: None, *, resource_id: str, seconds: float) -> Any:
    """A refund request that is not repeated."""
    return SimpleNamespace(
        reply=None,
        resource_id=resource_id,
        finish=lambda *_: None,
        release=lambda *_: None,
        hand_over=lambda *_: None,
    )
