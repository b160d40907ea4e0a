"""Commands to other contexts, each recorded with operator and time (`services.operations.operator_actions`) and logged.

If MongoDB does not answer, a command is still executed, and only logged: an operator must be able to cancel an order
during that outage.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from flask import request

from common.errors import Rejected, Unavailable, classify
from common.observability import logs
from common.web.app_factory import context
from services.operations import operator_actions
from services.operations.console.blueprint import operator_id, session
from services.operations.console.contexts import ContextDownError, RefusedError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from pymongo.database import Database

_T = TypeVar("_T")
SHOWN = 20
_LINKED = ("order_id", "endpoint_id", "letter_id")
NOT_KNOWN = "not known: no reply"
_log = logs.logger(__name__)


def post(
    kind: str,
    target: str,
    path: str,
    body: Mapping[str, Any] | None = None,
    *,
    on: Sequence[str],
    key: str | None = None,
    result_of: Callable[[dict[str, Any]], str] | None = None,
) -> dict[str, Any]:
    """POST `body` to the context `target` as this operator; `on` are the ids of its subjects.

    With an Idempotency-Key `key` it is executed once, even if it is sent repeatedly. `result_of` says for the
    record what the reply means.
    """
    token, reason = session().token, str((body or {}).get("reason", ""))
    headers = {"Idempotency_Key": key} if key else {}
    return _recorded(kind, on, reason, lambda: context().contexts.post(target, path, token, body, **headers), result_of)


def patch(kind: str, target: str, path: str, body: Mapping[str, Any], *, on: Sequence[str]) -> dict[str, Any]:
    """The same with PATCH."""
    token = session().token
    return _recorded(kind, on, "", lambda: context().contexts.patch(target, path, token, body))


def record(kind: str, act: Callable[[], _T], *, on: Sequence[str], reason: str = "") -> _T:
    """Execute a command of this context itself, recorded in the same way."""
    return _recorded(kind, on, reason, act)


def acts_on(subject: str) -> list[dict[str, Any]]:
    """The latest acts on one subject, newest first; none while MongoDB does not answer."""
    return with_store(lambda database: operator_actions.of_subject(database, subject, SHOWN)) or []


def latest_acts() -> list[dict[str, Any]]:
    """The latest acts of all operators; none while MongoDB does not answer."""
    return with_store(lambda database: operator_actions.latest(database, SHOWN)) or []


def _recorded(
    kind: str,
    on: Sequence[str],
    reason: str,
    send: Callable[[], _T],
    result_of: Callable[[_T], str] | None = None,
) -> _T:
    by, name = operator_id(), session().user
    _log.info("operator action", act=kind, on=list(on), by=by)
    act_id = with_store(
        lambda database: operator_actions.begin(database, kind, on, by=by, name=name, reason=reason, about=_about(on))
    )
    try:
        reply = send()
    except RefusedError as error:
        _finish(act_id, f"refused: {error.detail}")
        raise
    except Rejected as error:
        _finish(act_id, f"refused: {error}")
        raise
    except ContextDownError as error:
        _finish(act_id, error.sentence if error.is_provider else NOT_KNOWN)
        raise
    _finish(act_id, operator_actions.DONE, result_of(reply) if result_of else "")
    return reply


def _about(on: Sequence[str]) -> dict[str, str]:
    """Map each id to its kind (order, endpoint, dead letter), as the URL or the form names it."""
    named = {**request.form, **(request.view_args or {})}
    return {name: named[name] for name in _LINKED if named.get(name) in on}


def _finish(act_id: str | None, outcome: str, result: str = "") -> None:
    if act_id is not None:
        with_store(lambda database: operator_actions.finish(database, act_id, outcome, result))


def with_store(
    use: Callable[[Database[dict[str, Any]]], _T | None], message: str = "operator actions cannot be recorded or read"
) -> _T | None:
    """The result, or None while MongoDB does not answer; then `message` is logged."""
    try:
        with context().store.use() as database:
            return use(database)
    except Exception as error:
        if classify(error) is not Unavailable:
            raise
        _log.warning(message, error=type(error).__name__)
        return None
