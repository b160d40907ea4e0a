"""Named SQL statements: each is built once, when its module is imported, from constants.

Guarantee: no value becomes part of a statement's text. Values are bound as `:name`; `{name}` is a fragment, such as a
list of columns that several statements share. tests/history finds every statement of the tree, and rejects one that is
built in a function.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from sqlalchemy import TextClause, text

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_FRAGMENT = re.compile(r"\{([a-z_]+)\}")


def columns(rows: Iterable[Mapping[str, Any]], *names: str) -> dict[str, list[Any]]:
    """The values of `rows` as one array for each name, for a statement that gets its rows by `unnest`.

    The planner knows how many rows an array has. It estimates a hundred rows from JSON, and may then read a whole table
    to find one of them.
    """
    rows = list(rows)
    return {name: [row[name] for row in rows] for name in names}


def statement(template: str, **fragments: str | int) -> TextClause:
    """`template` with its fragments, which may name others. Raises `KeyError` for one that is not given."""
    while _FRAGMENT.search(template):
        template = _FRAGMENT.sub(lambda found: str(fragments[found[1]]), template)
    return text(template)
