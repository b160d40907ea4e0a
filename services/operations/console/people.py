"""The names of operators, for records that contain only ids. An unknown name is shown as `operator`."""

from __future__ import annotations

from typing import cast

from flask import g

from services.operations import operators
from services.operations.console.acting import with_store
from services.operations.console.blueprint import blueprint, operator_id, session
from services.operations.domain import AUTOMATIC

NOT_KNOWN, ITSELF = "operator", "itself"
_NO_NAMES = "operator names are unavailable"


def remember(caller_id: str, name: str) -> None:
    """Keep the name of an operator who signs in; without MongoDB it is kept next time."""
    with_store(lambda database: operators.remember(database, caller_id, name), _NO_NAMES)


@blueprint.app_template_filter("who")
def who(by: str | None, otherwise: str = NOT_KNOWN) -> str:
    """The name that belongs to the id in a record, or else `otherwise`; each is looked up once for a page."""
    if "names" not in g:
        g.names = {AUTOMATIC: ITSELF, operator_id(): session().user}
    known = cast("dict[str, str]", g.names)
    if by and by not in known:
        known[by] = with_store(lambda database: operators.name_of(database, by), _NO_NAMES) or ""
    return (known[by] if by else "") or otherwise
