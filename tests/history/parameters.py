"""The values for each parameter of a statement. A list holds alternatives; all combinations are tried."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import product
from typing import TYPE_CHECKING, Any

from tests.history.filling import CUSTOMERS, RARE_ROWS, ROWS, id_of
from tests.history.own import OWN

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.history.statements import Statement

MIDDLE = ROWS // 2
# The first page twice, one far down above what is rare, and one within that.
_DEEP = [None, id_of(ROWS + 1), id_of(RARE_ROWS + 500), id_of(RARE_ROWS // 2)]
_ORDERS_BEFORE = _DEEP[1:]
_ORDER_STATUSES = ["pending", "reserved", "confirmed", "cancelled"]
_ORDER_SKUS = ["popular", f"sku-{MIDDLE + 1}", "unknown"]
_LONG_SECONDS = 1e9
_ALL_OR_NONE_ARE_OLD = [0.0, _LONG_SECONDS]
_KNOWN_OR_NEW = [id_of(MIDDLE), id_of(ROWS + 1)]

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
# Where a name means something else, or one value alone is possible.
_OF_ONE: dict[str, dict[str, list[Any]]] = {
    "common.web.idempotency._INSERT": {"status": [201]},
    "common.web.idempotency_lease._FINISH": {"status": [201]},
    "services.inventory.models._CLAIM": {"status": ["held"]},
    "services.inventory.models._INSERT_PRODUCT": {"on_hand": [1]},
    "services.inventory.models._REJECT": {"status": ["rejected"]},
    "services.inventory.models._REMEMBER": {"status": ["cancelled"]},
    "services.inventory.models._SETTLE": {"status": ["sold"]},
    "services.inventory.models._UPDATE_PRODUCT": {"on_hand": [100]},
    "services.orders.clock._OVERDUE": {"before": [-1.0, 1e9]},
    "services.orders.models._CHANGE": {"status": ["confirmed"]},
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
    "services.payments.ledger._CONCLUDE": {"status": ["succeeded"]},
    "services.payments.ledger._INSERT": {
        "id": [id_of(ROWS + 1)],
        "payment_id": [id_of(MIDDLE)],
        "status": ["pending"],
    },
    "services.payments.ledger._INSERT_EXTERNAL": {"id": [id_of(ROWS + 1)], "payment_id": [id_of(MIDDLE)]},
    "services.payments.models._CHANGE": {"status": ["captured"]},
    "services.payments.models._RECORD_ORDER": {"id": [id_of(ROWS + 1)], "customer_id": ["new"]},
    "services.payments.models._RECORD_CANCELLED": {"id": [id_of(ROWS + 1)]},
    "services.payments.models._RECORD_RESERVED": {"id": [id_of(ROWS + 1)]},
    "services.payments.models._LIST": {"order_id": [None, id_of(MIDDLE), id_of(ROWS + 1)]},
    "services.payments.models._RECORD_CONFIRMED": {"id": [id_of(ROWS + 1)]},
    "services.users.models._INSERT_KEY": {"id": [id_of(ROWS + 1)], "user_id": [id_of(MIDDLE)], "digest": [b"new"]},
    "services.users.models._INSERT_USER": {"id": [id_of(ROWS + 1)]},
}
_OF_ONE |= {
    f"services.{context}.{name}": values for context, own in OWN.items() for name, values in own.PARAMETERS.items()
}


def combinations(statement: Statement) -> Iterator[dict[str, Any]]:
    """The values to try the statement with. Raises KeyError for a parameter that has none here."""
    known = _ANY | _OF_ONE.get(statement.name, {})
    names = list(statement.clause._bindparams)
    for values in product(*(known[name] for name in names)):
        yield dict(zip(names, values, strict=True))


def described_statements() -> set[str]:
    return set(_OF_ONE)
