"""Who acted, by name: records have ids. Where a name is not known, it is `operator`: nobody else may act."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from flask import g

from common.errors import Unavailable, classify
from common.observability import logs
from common.web.app_factory import context
from services.operations import operators
from services.operations.console.blueprint import blueprint, operator_id, session
from services.operations.domain import AUTOMATIC

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from pymongo.database import Database

NOT_KNOWN, ITSELF = "operator", "itself"
_log = logs.logger(__name__)


def remember(caller_id: str, name: str) -> None:
    """Keep the name of an operator who signs in; without MongoDB it is kept next time."""
    _with_store(lambda database: operators.remember(database, caller_id, name))


@blueprint.app_template_filter("who")
def who(by: str | None, otherwise: str = NOT_KNOWN) -> str:
    """The name that belongs to the id in a record, or else `otherwise`; each is looked up once for a page."""
    if "names" not in g:
        g.names = {AUTOMATIC: ITSELF, operator_id(): session().user}
    known = cast("dict[str, str]", g.names)
    if by and by not in known:
        known[by] = _with_store(lambda database: operators.name_of(database, by)) or ""
    return (known[by] if by else "") or otherwise


def _with_store(use: Callable[[Database[dict[str, Any]]], str | None]) -> str | None:
    try:
        with context().store.use() as database:
            return use(database)
    except Exception as error:
        if classify(error) is not Unavailable:
            raise
        _log.warning("names of operators are out of reach", error=type(error).__name__)
        return None
