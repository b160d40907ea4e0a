"""Endpoints and events for the tests of notifications."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from common.messaging.events import from_document, new_id
from common.security.tokens import Caller
from common.web.public_addresses import parse_networks
from services.notifications import recording, usecases
from services.notifications.domain import Policy
from services.notifications.signing import SecretBox
from services.notifications.usecases import Rules

if TYPE_CHECKING:
    from pymongo.database import Database

    from common.messaging.events import Event

KEY = base64.urlsafe_b64encode(bytes(32)).decode()
RULES = Rules(box=SecretBox(KEY), allowed=parse_networks("127.0.0.0/8"), policy=Policy(), endpoints_per_owner=100)
OPERATOR = Caller(id="01928f6c-0002-7c21-8d43-5b7e9f00c2d2", role="operator")
CUSTOMER = Caller(id="01928f6d-11aa-7c21-8d43-5b7e9f00c2d1", role="customer")  # like in the samples
OTHER_CUSTOMER = Caller(id="01928f6d-11aa-7c21-8d43-5b7e9f00c2d9", role="customer")
SAMPLES = Path(__file__).parents[3] / "tests" / "contracts"
ALL_OF_ORDERS = ("order.placed.v1", "order.confirmed.v1", "payment.captured.v1")


def sample(event_type: str, **changes: Any) -> Event:
    """The golden sample of that type under a new id."""
    document = json.loads((SAMPLES / f"{event_type}.json").read_text())
    return from_document(document | {"id": new_id()} | changes)


def make_endpoint(
    database: Database[dict[str, Any]],
    url: str,
    *event_types: str,
    owner: Caller = OPERATOR,
) -> tuple[str, str]:
    """Create an endpoint; returns its id and its secret."""
    values = {"url": url, "event_types": list(event_types or ALL_OF_ORDERS), "description": ""}
    endpoint, secret = usecases.create_endpoint(database, RULES, owner, new_id(), values)
    return endpoint["_id"], secret


def record(database: Database[dict[str, Any]], event: Event) -> int:
    return recording.record_events(database, [(event, None)])


def deliveries_of(database: Database[dict[str, Any]], endpoint_id: str) -> list[dict[str, Any]]:
    return list(database["deliveries"].find({"endpoint_id": endpoint_id}).sort("_id", 1))
