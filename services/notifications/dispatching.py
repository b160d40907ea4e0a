"""One endpoint's turn: sends due deliveries one after the other, and records each outcome.

Guarantee: a delivery is recorded as delivered only after its receiver has answered 2xx. After a crash between the
response and the record it is sent again: at-least-once. An endpoint has one turn at a time among all workers (a lease),
so a dead endpoint blocks one thread for one time-out; a turn is short, so a busy endpoint delays no others.
"""

from __future__ import annotations

import random
import time
from dataclasses import dataclass
from datetime import timedelta
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any

from common.messaging.events import new_id, utc_now
from common.observability.logs import logger
from common.resilience.crash_points import crash_point
from services.notifications import deliveries, metrics, models, signing
from services.notifications.domain import Outcome, Reason, Status, has_failed_too_long, judge, next_attempt
from services.notifications.operational_events import notify_disabled

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from pymongo.database import Database

    from common.web.guarded_http import Answer, GuardedClient
    from services.notifications.domain import Health
    from services.notifications.usecases import Rules

    Documents = Database[dict[str, Any]]
    Document = dict[str, Any]

LEASE_SECONDS = 60.0
TURN_SECONDS, TURN_DELIVERIES = 2.0, 20
MAX_EXCERPT_CHARACTERS = 1000
MAX_RETRY_AFTER_DIGITS = 6
_log = logger(__name__)


@dataclass(frozen=True, slots=True)
class Dispatcher:
    """The resources of a turn."""

    database: Documents
    client: GuardedClient
    rules: Rules

    def claim(self, *, is_suspect: bool) -> Document | None:
        """The next endpoint, of those whose last response was quick or of the `is_suspect` ones."""
        return models.claim_turn(self.database, new_id(), is_suspect=is_suspect, now=utc_now(), seconds=LEASE_SECONDS)

    def overdue_seconds(self) -> float:
        """How long the longest-waiting endpoint has been due."""
        due_at = models.longest_due_at(self.database)
        return max(0.0, (utc_now() - due_at).total_seconds()) if due_at else 0.0

    def take_turn(self, endpoint: Document) -> int:
        """Send due deliveries to a claimed endpoint; returns the number of attempts."""
        begun, health = time.monotonic(), models.health_of(endpoint)
        if health.open_until is None or health.open_until <= utc_now():
            due = deliveries.due(self.database, endpoint["_id"], now=utc_now(), limit=_portion(health))
        else:
            due = []
        made = 0
        for delivery in due:
            outcome = self._attempt(endpoint, delivery)
            made += 1
            health = self._settle(endpoint, delivery, outcome, health)
            if not outcome.is_delivered or time.monotonic() - begun > TURN_SECONDS:
                break
        self._end_turn(endpoint, health, was_tried=bool(made))
        return made

    def release(self, endpoint: Document) -> None:
        """Release an interrupted turn: the endpoint is due again at once."""
        models.end_turn(self.database, endpoint, next_due_at=utc_now())

    def _attempt(self, endpoint: Document, delivery: Document) -> Outcome:
        body, now = delivery["body"].encode(), utc_now()
        sealed = [endpoint["secret"], *(each["secret"] for each in endpoint["previous_secrets"] if each["until"] > now)]
        secrets = [self.rules.box.open(each) for each in sealed]
        headers = signing.sign(secrets, delivery["event_id"], int(now.timestamp()), body)
        headers |= {"content-type": "application/json", "user-agent": "Holdfast-Webhooks/1"}
        crash_point("notifications.sending")
        answer = self.client.post(endpoint["url"], body, headers)
        crash_point("notifications.sent")
        outcome = Outcome(answer.status, answer.error, answer.seconds, _retry_after(answer, now))
        metrics.count_attempt(outcome)
        delivery["entry"] = {
            "at": now,
            "status_code": answer.status,
            "error": "" if outcome.is_delivered else outcome.description,
            "latency_seconds": round(answer.seconds, 3),
            "answer": answer.excerpt.decode("utf-8", "replace").replace("\x00", "\ufffd")[:MAX_EXCERPT_CHARACTERS],
        }
        return outcome

    def _settle(self, endpoint: Document, delivery: Document, outcome: Outcome, health: Health) -> Health:
        now, policy = utc_now(), self.rules.policy
        deliveries.record(self.database, delivery, self._next(delivery, outcome, now), delivery["entry"])
        health = judge(policy, health, outcome, now=now)
        if outcome.is_gone:
            self._disable(endpoint, Reason.GONE, now)
        elif has_failed_too_long(policy, health, now=now):
            self._disable(endpoint, Reason.FAILING, now)
        return health

    def _next(self, delivery: Document, outcome: Outcome, now: datetime) -> Document:
        policy = self.rules.policy
        if outcome.is_delivered:
            retention = timedelta(seconds=policy.kept_seconds)
            return {"status": Status.DELIVERED, "delivered_at": now, "expires_at": now + retention}
        if outcome.is_gone:
            return {"status": Status.FAILED, "reason": Reason.GONE}
        chance = random.random()
        due_at = next_attempt(policy, delivery["attempts"] + 1, outcome, now=now, chance=chance)
        if due_at is None:
            return {"status": Status.FAILED, "reason": Reason.ATTEMPTS_EXHAUSTED}
        return {"due_at": due_at}

    def _disable(self, endpoint: Document, reason: Reason, now: datetime) -> None:
        notify_disabled(self.database, endpoint, reason=reason, now=now)
        if models.disable(self.database, endpoint["_id"], reason=reason, now=now):
            metrics.DISABLED.labels(reason).inc()
            _log.warning("webhook endpoint disabled", endpoint_id=endpoint["_id"], reason=str(reason))
        deliveries.fail_pending(self.database, endpoint["_id"], reason=reason)

    def _end_turn(self, endpoint: Document, health: Health, *, was_tried: bool) -> None:
        due_at = deliveries.next_due_at(self.database, endpoint["_id"])
        if due_at is not None:
            due_at = max(due_at, utc_now(), health.open_until or models.LONG_AGO)
        observed = models.health_values(health, now=utc_now()) if was_tried else None
        models.end_turn(self.database, endpoint, next_due_at=due_at, observed=observed)


def _portion(health: Health) -> int:
    """A failing endpoint gets one attempt per turn, others get several."""
    return 1 if health.is_suspect else TURN_DELIVERIES


def _retry_after(answer: Answer, now: datetime) -> float:
    """The value of `Retry-After` in seconds (RFC 9110: a number, or a date); 0 if it is malformed."""
    headers: Mapping[str, str] = answer.headers
    given = headers.get("retry-after", "").strip()
    if given.isascii() and given.isdigit() and len(given) <= MAX_RETRY_AFTER_DIGITS:
        return float(given)
    try:
        moment = parsedate_to_datetime(given)
        return max(0.0, (moment - now).total_seconds())
    except (ValueError, TypeError, OverflowError):  # not a date, or one without a zone
        return 0.0
