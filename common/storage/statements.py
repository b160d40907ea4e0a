"""Named SQL statements: each is built once, when its module is imported, from constants.

Guarantee: no value becomes part of a statement's text. Values are bound as `:name`; `{name}` is a fragment, such as a
list of columns that several statements share. tests/history finds every statement of the tree, and rejects one that is
built in a function.
"""

from __future__ import annotations

import re

from sqlalchemy import TextClause, text

_FRAGMENT = re.compile(r"\{([a-z_]+)\}")


def statement(template: str, **fragments: str | int) -> TextClause:
    """`template` with its fragments, which may name others. Raises `KeyError` for one that is not given."""
    while _FRAGMENT.search(template):
        template = _FRAGMENT.sub(lambda found: str(fragments[found[1]]), template)
    return text(template)
