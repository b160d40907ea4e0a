"""Lists by cursor: `?limit=1..100&starting_after=ID`, in Stripe's shape.

A page begins after the row with the id `starting_after`, so concurrent inserts and deletes neither skip nor repeat
rows. The use case fetches `page.fetch` rows: one extra row shows whether there are more.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from flask import request
from marshmallow import Schema, fields, post_load, validate

from common.schemas import StrictSchema, id_field

if TYPE_CHECKING:
    from collections.abc import Sequence

MAX_LIMIT = 100
DEFAULT_LIMIT = 20


@dataclass(frozen=True, slots=True)
class Page:
    """The requested part of a list. `starting_after` is an id, None for the first page."""

    limit: int = DEFAULT_LIMIT
    starting_after: str | None = None

    @property
    def fetch(self) -> int:
        return self.limit + 1


class QueryInteger(fields.Integer):
    """An integer in a query: plain decimal digits (int() alone would also take " 1", "1_0" and other scripts')."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> int:
        if not isinstance(value, str) or not re.fullmatch(r"-?[0-9]{1,18}", value):
            raise self.make_error("invalid", input=value)
        return super()._deserialize(value, attr, data, **kwargs)


class PageQuerySchema(StrictSchema):
    """The query of a list; subclasses add filters. Loads into {"page": Page, filter: value, ...}."""

    limit = QueryInteger(load_default=DEFAULT_LIMIT, validate=validate.Range(min=1, max=MAX_LIMIT))
    starting_after = id_field(metadata={"description": "the last id seen"})

    @post_load
    def make_page(self, values: dict[str, Any], **_kwargs: Any) -> dict[str, Any]:
        values["page"] = Page(values.pop("limit"), values.pop("starting_after", None))
        return values


def render_page(rows: Sequence[dict[str, Any]], page: Page) -> dict[str, Any]:
    """The list object for at most `page.fetch` rows."""
    return {
        "object": "list",
        "data": list(rows[: page.limit]),
        "has_more": len(rows) > page.limit,
        "url": request.path,
    }


def page_schema(item: type[Schema]) -> Schema:
    """The response schema of a list of `item`."""
    name = f"{item.__name__.removesuffix('Schema')}ListSchema"
    members: dict[str, Any] = {
        "object": fields.String(required=True, validate=validate.Equal("list")),
        "data": fields.List(fields.Nested(item), required=True),
        "has_more": fields.Boolean(required=True),
        "url": fields.String(required=True),
    }
    schema: Schema = type(name, (Schema,), members)()
    return schema
