"""Events about webhooks themselves. They are not published on the broker: they are not archived, and no audit expects
them.

Guarantee: before an endpoint is disabled for its failures, its owner's other endpoints that subscribed to
`webhook_endpoint.disabled.v1` have one delivery of it, after any crash.
Not promised: that it is then disabled. After a crash between the two there is one more attempt, which may succeed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid5

from common.messaging.events import rfc3339
from services.notifications import deliveries, models
from services.notifications.domain import DISABLED_EVENT, make_own_body
from services.notifications.resending import new_delivery

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from pymongo.database import Database


def notify_disabled(
    database: Database[dict[str, Any]], endpoint: Mapping[str, Any], *, reason: str, now: datetime
) -> int:
    """Record the deliveries; returns how many are new. Idempotent per revision."""
    others = models.others_of_owner(database, endpoint, DISABLED_EVENT)
    if not others:
        return 0
    event_id = str(uuid5(UUID(endpoint["_id"]), f"disabled {endpoint['revision']}"))
    data = {"endpoint_id": endpoint["_id"], "url": endpoint["url"], "reason": str(reason)}
    body = make_own_body(DISABLED_EVENT, event_id, data, now=rfc3339(now))
    event = {"id": event_id, "type": DISABLED_EVENT, "order_id": None}
    count = deliveries.insert(database, [new_delivery(each, event, body, now=now) for each in others])
    models.wake(database, others, now=now)
    return count
