"""Stripe's cursor pagination: newest first, `limit`, `starting_after`, `ending_before`, `created[gte]` and friends.

Guarantee: paginating with `starting_after` returns every object that existed at the start exactly once,
even with concurrent inserts, and a page costs the same at the start and at the end of a long ledger.
"""

import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from infrastructure.sandbox.errors import ApiError, missing
from infrastructure.sandbox.exchange import Reply, json_reply
from infrastructure.sandbox.params import Params

DEFAULT_LIMIT = 10
LARGEST_LIMIT = 100
COMPARISONS = {"gt": ">", "gte": ">=", "lt": "<", "lte": "<="}


@dataclass(frozen=True)
class Listing:
    """A list: statements for a page and for an id's position, the noun, the path, and the rendering of a row."""

    page: str
    position: str
    noun: str
    url: str
    render: Callable[[sqlite3.Row], dict[str, Any]]


@dataclass(frozen=True)
class Page:
    """One requested page. Every condition is a constant, only its values come from outside."""

    limit: int
    cursor: tuple[str, str] | None
    conditions: tuple[tuple[str, Any], ...]


def read_page(params: Params, *filters: str) -> Page:
    """The page's parameters; `filters` are columns that support equality filters."""
    values = ((column, params.text(column)) for column in filters)
    conditions: list[tuple[str, Any]] = [(f"{column} = ?", value) for column, value in values if value is not None]
    conditions += _read_created(params)
    cursors = [(name, ident) for name in ("starting_after", "ending_before") if (ident := params.text(name))]
    if len(cursors) > 1:
        raise ApiError(
            "Received both starting_after and ending_before parameters. Please pass in only one.",
            code="parameters_exclusive",
        )
    limit = params.integer("limit", minimum=1) or DEFAULT_LIMIT
    if limit > LARGEST_LIMIT:
        raise ApiError(
            f"This value must be less than or equal to {LARGEST_LIMIT}.",
            code="parameter_invalid_integer",
            param="limit",
        )
    params.ignore("expand")
    return Page(limit, cursors[0] if cursors else None, tuple(conditions))


def list_page(tx: sqlite3.Connection, listing: Listing, page: Page) -> Reply:
    """The page as Stripe's list object."""
    conditions, backwards = list(page.conditions), False
    if page.cursor is not None:
        name, ident = page.cursor
        backwards = name == "ending_before"
        comparison = "seq > ?" if backwards else "seq < ?"
        conditions.append((comparison, _position(tx, listing, name, ident)))
    where = " AND ".join(text for text, _ in conditions) or "TRUE"
    order = "ASC" if backwards else "DESC"
    rows = tx.execute(
        listing.page.format(where=where, order=order),
        [*(value for _, value in conditions), page.limit + 1],
    ).fetchall()
    shown = rows[: page.limit]
    if backwards:
        shown.reverse()
    data = [listing.render(row) for row in shown]
    return json_reply(200, {"object": "list", "data": data, "has_more": len(rows) > page.limit, "url": listing.url})


def _position(tx: sqlite3.Connection, listing: Listing, name: str, ident: str) -> int:
    row = tx.execute(listing.position, [ident]).fetchone()
    if row is None:
        raise missing(listing.noun, ident[:100], param=name, status=400)
    return int(row["seq"])


def _read_created(params: Params) -> list[tuple[str, Any]]:
    if not params.has_hash("created"):
        exactly = params.integer("created")
        return [] if exactly is None else [("created = ?", exactly)]
    below = params.hash("created")
    bounds = [(sign, below.integer(name)) for name, sign in COMPARISONS.items()]
    below.finish()
    return [(f"created {sign} ?", bound) for sign, bound in bounds if bound is not None]
