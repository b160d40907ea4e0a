"""The values for each parameter of a statement. A list holds alternatives; all combinations are tried."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from itertools import product
from typing import TYPE_CHECKING, Any

from tests.history.filling import CUSTOMERS, RARE_ROWS, ROWS, id_of
from tests.history.own import OWN

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.history.statements import Statement

MIDDLE = ROWS // 2
# The first page twice, one just above the rare rows, and one within them.
_DEEP = [None, id_of(ROWS + 1), id_of(RARE_ROWS + 500), id_of(RARE_ROWS // 2)]
_ORDERS_BEFORE = _DEEP[1:]
_ORDER_STATUSES = ["pending", "reserved", "confirmed", "cancelled"]
_ORDER_SKUS = ["popular", f"sku-{MIDDLE + 1}", "unknown"]
_LONG_SECONDS = 1e9
_ALL_OR_NONE_ARE_OLD = [0.0, _LONG_SECONDS]
_KNOWN_OR_NEW = [id_of(MIDDLE), id_of(ROWS + 1)]

_NO_FACT = {"order_known": False, "stock_reserved": False, "cancel_requested": False}


def _changes(**values: Any) -> str:
    """A known and a new row with these values."""
    return json.dumps([{"id": id_, "order_id": id_, **values} for id_ in _KNOWN_OR_NEW])


_RESERVATIONS = _changes(status="held", items=[{"sku": f"sku-{MIDDLE}", "quantity": 1}], version=1)

_ANY: dict[str, list[Any]] = {
    "account": [f"user-{MIDDLE}"],
    "after": [None, "sku-9", "sku-1"],
    "amount": [5],
    "before": _DEEP,
    "bodies": [["{}"]],
    "body": ["{}"],
    "cancel_reason": [None],
    "closed": [True],
    "code": [None],
    "consumer": ["worker"],
    "correlation_id": ["r"],
    "correlation_ids": [["r"]],
    "created_at": [datetime.now(UTC)],
    "currency": ["usd"],
    "customer_id": [None, f"customer-{CUSTOMERS // 2}"],
    "decline_code": [None],
    "digest": [f"key-{MIDDLE}".encode(), b"unknown"],
    "email": ["new@example.org"],
    "event_id": _KNOWN_OR_NEW,
    "event_ids": [[id_of(MIDDLE)]],
    "final_envelope": ["{}"],
    "fingerprint": ["f", "other"],
    "headers": ["{}"],
    "hint": ["hint"],
    "id": _KNOWN_OR_NEW,
    "holder": ["holder", "another"],
    "items": ["[]"],
    "ids": [_KNOWN_OR_NEW],
    "key": [str(MIDDLE), "new"],
    "kind": ["operator"],
    "lease_id": [id_of(MIDDLE)],
    "limit": [10],
    "lock": [1],
    "max_seconds": [3.0],
    "method": ["pm_card_visa"],
    "name": ["sweep", "Tea"],
    "network": ["127.0.0.0"],
    "now": [1.0],
    "oldest": [id_of(0), id_of(ROWS - 50)],
    "on_hand": [0],
    "order_id": _KNOWN_OR_NEW,
    "order_ids": [_KNOWN_OR_NEW],
    "payment_ids": [_KNOWN_OR_NEW],
    "password_hash": [None],
    "pause": [None, 60.0],
    "payment_id": _KNOWN_OR_NEW,
    "payment_method": ["pm_card_visa"],
    "positions": [list(range(5_001, 5_011))],
    "provider_id": ["pi_new"],
    "provider_refund_id": ["re_new", None],
    "quantities": [[1, 1]],
    "reason": ["reason"],
    "recorded_at": [datetime.now(UTC)],
    "recorded_by": ["operator"],
    "reference": [None],
    "refunded": [0],
    "refunded_elsewhere": [0],
    "refusal_code": [None],
    "refusals": [1],
    "reserved": [0],
    "resource_id": [id_of(MIDDLE)],
    "role": ["customer"],
    "scope": ["caller"],
    "seconds": _ALL_OR_NONE_ARE_OLD,
    "sequence": [2],
    "sku": [f"sku-{MIDDLE}", "new"],
    "skus": [["sku-1", "sku-2"]],
    "sold": [0],
    "stands_still": [False],
    "total": [1],
    "type": ["thing.happened.v1", "thing.vanished.v1"],
    "types": [["thing.happened.v1"]],
    "user_id": _KNOWN_OR_NEW,
    "username": ["new"],
    "value": [f"user-{MIDDLE}", "nobody"],
    "version": [3],
    "waits": [True, False],
    "window_seconds": [900],
}
# Names with another meaning, or with only one possible value.
_OF_ONE: dict[str, dict[str, list[Any]]] = {
    "common.web.idempotency._INSERT": {"status": [201]},
    "common.web.idempotency_lease._FINISH": {"status": [201]},
    "services.inventory.models._INSERT_PRODUCT": {"on_hand": [1]},
    "services.inventory.models._UPDATE_PRODUCT": {"on_hand": [100]},
    "services.inventory.reservations._OPEN": {"placed": [_RESERVATIONS]},
    "services.inventory.reservations._REMEMBER": {"status": ["cancelled"]},
    "services.inventory.reservations._WRITE": {
        "order_id": [_KNOWN_OR_NEW],
        "status": [["sold", "sold"]],
        "version": [[3, 3]],
        "sku": [[f"sku-{MIDDLE}"]],
        **{name: [[0]] for name in ("on_hand", "reserved", "sold")},
        "event_id": [[id_of(ROWS + 1)]],
        **{name: [["t"]] for name in ("type", "correlation_id", "body")},
    },
    "services.orders.clock._OVERDUE": {"before": [-1.0, 1e9]},
    "services.orders.models._CHANGE": {
        "id": [_KNOWN_OR_NEW],
        "status": [["confirmed", "confirmed"]],
        "cancel_reason": [[None, None]],
        "version": [[3, 3]],
        "final_envelope": [["{}", None]],
    },
    "services.orders.models._INSERT_PLACED": {"id": [id_of(ROWS + 1)], "customer_id": ["new"], "status": ["pending"]},
    "services.orders.models._LIST": {"before": _ORDERS_BEFORE},
    "services.orders.models._LIST_BY_STATUS": {"before": _ORDERS_BEFORE, "status": _ORDER_STATUSES},
    "services.orders.models._LIST_OF_SKU_BY_STATUS": {
        "before": _ORDERS_BEFORE,
        "sku": _ORDER_SKUS,
        "status": _ORDER_STATUSES,
    },
    "services.orders.models._LIST_OF_SKU": {"before": _ORDERS_BEFORE, "sku": _ORDER_SKUS},
    "services.orders.models._LIST_OF_CUSTOMER": {
        "before": _ORDERS_BEFORE,
        "customer_id": [f"customer-{CUSTOMERS // 2}", "unknown"],
        "sku": [None, *_ORDER_SKUS],
        "status": [None, *_ORDER_STATUSES],
    },
    "services.payments.facts._RECORD": {"facts": [_changes(**_NO_FACT, order_confirmed=True)]},
    "services.payments.ledger._CONCLUDE": {"status": ["succeeded"]},
    "services.payments.ledger._INSERT": {
        "id": [id_of(ROWS + 1)],
        "payment_id": [id_of(MIDDLE)],
        "status": ["pending"],
    },
    "services.payments.ledger._INSERT_EXTERNAL": {"id": [id_of(ROWS + 1)], "payment_id": [id_of(MIDDLE)]},
    "services.payments.models._ATTACH": {"ids": [[id_of(MIDDLE)]], "intents": [["pi_new"]]},
    "services.payments.models._CHANGE": {
        "id": [_KNOWN_OR_NEW],
        "status": [["captured", "captured"]],
        **{name: [[0, 0]] for name in ("refunded", "refunded_elsewhere", "version", "refusals")},
        **{name: [[None, None]] for name in ("decline_code", "refusal_code")},
        **{name: [[False, False]] for name in ("closed", "waits")},
    },
    "services.payments.models._LIST": {"order_id": [None, id_of(MIDDLE), id_of(ROWS + 1)]},
    "services.users.models._INSERT_KEY": {"id": [id_of(ROWS + 1)], "user_id": [id_of(MIDDLE)], "digest": [b"new"]},
    "services.users.models._INSERT_USER": {"id": [id_of(ROWS + 1)]},
}
_OF_ONE |= {
    f"services.{context}.{name}": values for context, own in OWN.items() for name, values in own.PARAMETERS.items()
}


def combinations(statement: Statement) -> Iterator[dict[str, Any]]:
    """The values to run the statement with. Raises KeyError for a parameter without values."""
    known = _ANY | _OF_ONE.get(statement.name, {})
    names = list(statement.clause._bindparams)
    for values in product(*(known[name] for name in names)):
        yield dict(zip(names, values, strict=True))


def described_statements() -> set[str]:
    return set(_OF_ONE)
