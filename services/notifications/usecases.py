"""Use cases of webhook endpoints, for their owners: a customer sees and changes only their own, an operator all.

They do not send: they record deliveries, and `workers/notifications` sends due ones.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from pymongo.errors import DuplicateKeyError

from common.errors import Conflict, Rejected
from common.messaging.events import utc_now
from common.security.visibility import require_visible
from services.notifications import deliveries, models, signing, urls
from services.notifications.addresses import refused_address
from services.notifications.domain import DISABLED_EVENT, EVENT_TYPES, Policy, Reason, may_subscribe

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pymongo.database import Database

    from common.security.tokens import Caller
    from common.web.pagination import Page
    from common.web.public_addresses import Networks
    from services.notifications.signing import SecretBox

    Documents = Database[dict[str, Any]]
    Document = dict[str, Any]

CHANGE_TRIES = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """The installation's rules for the use cases."""

    box: SecretBox
    allowed: Networks
    policy: Policy
    endpoints_per_owner: int


class TooManyEndpointsError(Conflict):
    code = "too_many_endpoints"


class EndpointChangedError(Conflict):
    code = "endpoint_changed"


class InvalidEndpointError(Rejected):
    code = "invalid_request"


class UnknownCursorError(Rejected):
    code = "invalid_request"


def create_endpoint(
    database: Documents, rules: Rules, caller: Caller, endpoint_id: str, values: Mapping[str, Any]
) -> tuple[Document, str]:
    """Create an endpoint; returns it with its secret. An existing id (a repetition) returns the existing endpoint.

    Raises `InvalidEndpointError` and `TooManyEndpointsError`.
    """
    check(rules, caller.role, values)
    # MongoDB stores milliseconds: return the same value that is read later.
    now, secret = utc_now().replace(microsecond=0), signing.new_secret()
    endpoint = {
        "_id": endpoint_id,
        "owner_id": caller.id,
        "role": caller.role,
        "url": values["url"],
        "description": values["description"],
        "revision": 1,
        "enabled": True,
        "created_at": now,
        "secret": rules.box.seal(secret),
        "previous_secrets": [],
        "next_due_at": models.NEVER,
        "leased_until": models.LONG_AGO,
        "is_suspect": False,
    } | subscribe((), values["event_types"])
    try:
        if not models.insert(database, endpoint, slots=rules.endpoints_per_owner):
            message = f"an account has at most {rules.endpoints_per_owner} webhook endpoints"
            raise TooManyEndpointsError(message)
    except DuplicateKeyError:
        endpoint = get_endpoint(database, caller, endpoint_id)
        secret = rules.box.open(endpoint["secret"])
    return endpoint, secret


def get_endpoint(database: Documents, caller: Caller, endpoint_id: str) -> Document:
    """Raises `NotFound` if it does not exist, or is not the caller's."""
    found = models.get(database, endpoint_id)
    return require_visible(found, found["owner_id"] if found else None, caller.viewer_id, what="webhook endpoint")


def list_endpoints(database: Documents, caller: Caller, page: Page, *, is_failing: bool = False) -> list[Document]:
    return models.page(
        database, owner_id=caller.viewer_id, before=page.starting_after, limit=page.fetch, is_failing=is_failing
    )


def change_endpoint(
    database: Documents, rules: Rules, caller: Caller, endpoint_id: str, values: Mapping[str, Any]
) -> Document:
    """Change the given fields of `url`, `description`, `event_types` and `enabled`.

    Enabling resets the failures; `resend_failed` sends failed deliveries.
    """
    for _ in range(CHANGE_TRIES):
        endpoint = get_endpoint(database, caller, endpoint_id)
        check(rules, endpoint["role"], values)
        changes = {name: values[name] for name in ("url", "description") if name in values}
        if "event_types" in values:
            changes |= subscribe(endpoint["subscriptions"], values["event_types"])
        if "enabled" in values and values["enabled"] != endpoint["enabled"]:
            changes |= _enabled() if values["enabled"] else _disabled()
        changed = models.change(database, endpoint_id, changes, revision=endpoint["revision"])
        if changed is not None:
            if not changed["enabled"]:
                deliveries.fail_pending(database, endpoint_id, reason=Reason.ENDPOINT_DISABLED)
            return changed
    raise EndpointChangedError("the endpoint is being changed concurrently: repeat the request")


def delete_endpoint(database: Documents, caller: Caller, endpoint_id: str) -> None:
    """Delete an endpoint and all its deliveries. The endpoint is deleted first, so that no new delivery is recorded."""
    get_endpoint(database, caller, endpoint_id)
    models.delete(database, endpoint_id)
    deliveries.delete_of(database, [endpoint_id])


def rotate_secret(
    database: Documents, rules: Rules, caller: Caller, endpoint_id: str, *, keep_seconds: float
) -> tuple[Document, str]:
    """Give the endpoint a new secret; for `keep_seconds` webhooks are also signed with the previous one."""
    for _ in range(CHANGE_TRIES):
        endpoint = get_endpoint(database, caller, endpoint_id)
        now, secret = utc_now(), signing.new_secret()
        previous = [each for each in endpoint["previous_secrets"] if each["until"] > now]
        if keep_seconds:
            previous.append({"secret": endpoint["secret"], "until": now + timedelta(seconds=keep_seconds)})
        values = {"secret": rules.box.seal(secret), "previous_secrets": previous[-models.MAX_PREVIOUS_SECRETS :]}
        changed = models.change(database, endpoint_id, values, revision=endpoint["revision"])
        if changed is not None:
            return changed, secret
    raise EndpointChangedError("the endpoint is being changed concurrently: repeat the request")


def check(rules: Rules, role: str, values: Mapping[str, Any]) -> None:
    """Raises `InvalidEndpointError` with the errors by field."""
    errors: dict[str, Any] = {}
    if "url" in values:
        problem = urls.problem_of(values["url"], rules.allowed) or refused_address(values["url"], rules.allowed)
        if problem:
            errors["url"] = [problem]
    wrong = [name for name in values.get("event_types", ()) if not may_subscribe(role, name)]
    if wrong:
        known = ", ".join(name for name in (*EVENT_TYPES, DISABLED_EVENT) if may_subscribe(role, name))
        errors["event_types"] = [f"{name[:100]}: not a valid event type; valid types are {known}" for name in wrong]
    if errors:
        raise InvalidEndpointError("Validation failed.", errors=errors)


def subscribe(known: Sequence[Mapping[str, Any]], event_types: Sequence[str]) -> Document:
    """The fields of a subscription to `event_types`: known `since` values are kept, the worker sets the others."""
    since = {each["event_type"]: each["since"] for each in known}
    names = sorted(set(event_types))
    subscriptions = [{"event_type": name, "since": since.get(name)} for name in names]
    return {
        "event_types": names,
        "subscriptions": subscriptions,
        "is_unbound": any(each["since"] is None for each in subscriptions),
    }


def _enabled() -> Document:
    nothing: Document = dict.fromkeys(("disabled_at", "disabled_reason", "failing_since", "open_until"))
    return {"enabled": True, "consecutive_failures": 0, "is_suspect": False, "is_failing": False, **nothing}


def _disabled() -> Document:
    return {"enabled": False, "is_failing": False, "disabled_at": utc_now(), "disabled_reason": Reason.REQUESTED}
