"""Commands to other contexts, each recorded with operator and time (`services.operations.acts`) and logged.

If MongoDB does not answer, a command is still executed, and only logged: an operator must be able to cancel an order
during that outage.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from common.errors import Unavailable, classify
from common.observability import logs
from common.web.app_factory import context
from services.operations import acts
from services.operations.console.blueprint import operator_id, session
from services.operations.console.contexts import ContextDownError, RefusedError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from pymongo.database import Database

_T = TypeVar("_T")
SHOWN = 20
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
) -> dict[str, Any]:
    """POST `body` to the context `target` as this operator; `on` are the ids of its subjects.

    With an Idempotency-Key `key` it is executed once, even if it is sent repeatedly.
    """
    token, reason = session().token, str((body or {}).get("reason", ""))
    headers = {"Idempotency_Key": key} if key else {}
    return _recorded(kind, on, reason, lambda: context().contexts.post(target, path, token, body, **headers))


def patch(kind: str, target: str, path: str, body: Mapping[str, Any], *, on: Sequence[str]) -> dict[str, Any]:
    """The same with PATCH."""
    token = session().token
    return _recorded(kind, on, "", lambda: context().contexts.patch(target, path, token, body))


def acts_on(subject: str) -> list[dict[str, Any]]:
    """The latest acts on one subject, newest first; none while MongoDB does not answer."""
    return _with_store(lambda database: acts.of_subject(database, subject, SHOWN)) or []


def latest_acts() -> list[dict[str, Any]]:
    """The latest acts of all operators, likewise."""
    return _with_store(lambda database: acts.latest(database, SHOWN)) or []


def _recorded(kind: str, on: Sequence[str], reason: str, send: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    by, name = operator_id(), session().user
    _log.info("an operator acts", act=kind, on=list(on), by=by)
    act_id = _with_store(lambda database: acts.begin(database, kind, on, by=by, name=name, reason=reason))
    try:
        reply = send()
    except RefusedError as error:
        _finish(act_id, f"refused: {error.detail}")
        raise
    except ContextDownError:
        _finish(act_id, NOT_KNOWN)
        raise
    _finish(act_id, acts.DONE)
    return reply


def _finish(act_id: str | None, outcome: str) -> None:
    if act_id is not None:
        _with_store(lambda database: acts.finish(database, act_id, outcome))


def _with_store(use: Callable[[Database[dict[str, Any]]], _T]) -> _T | None:
    try:
        with context().store.use() as database:
            return use(database)
    except Exception as error:
        if classify(error) is not Unavailable:
            raise
        _log.warning("the record of acts is unavailable", error=type(error).__name__)
        return None
