"""Marshmallow pieces that HTTP bodies and event data share: strict types, money, SKUs, bounded texts.

Strict means JSON types: `1.5`, `true` and `"1"` are not integers, and a text contains no NUL (PostgreSQL rejects it)
and no lone surrogate (not encodable as UTF-8).
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any

from marshmallow import EXCLUDE, RAISE, Schema, ValidationError, fields, validate

ID_PATTERN = r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"
_RFC_3339 = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d:\d\d)", re.ASCII)
CURRENCIES = ("usd", "eur", "gbp", "chf", "sek", "nok", "dkk", "pln", "cad", "aud")
MAX_AMOUNT = 99_999_999  # Stripe's largest amount: eight digits of minor units


class StrictSchema(Schema):
    """For HTTP requests and published events: unknown fields are rejected."""

    class Meta:
        unknown = RAISE


class TolerantSchema(Schema):
    """For events of other contexts: reads the declared fields and ignores all others."""

    class Meta:
        unknown = EXCLUDE


class Integer(fields.Integer):
    """A JSON integer that fits a bigint column."""

    def __init__(self, **options: Any) -> None:
        super().__init__(strict=True, **options)

    def _validated(self, value: Any) -> int:
        number = super()._validated(value)
        if not -(2**63) <= number < 2**63:
            raise ValidationError("Out of range.")
        return number


def plain_text(value: str) -> None:
    """A check: no NUL, and encodable as UTF-8."""
    if "\x00" in value:
        raise ValidationError("Must not contain NUL.")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise ValidationError("Must be valid Unicode.") from None


def text_field(*, low: int = 1, high: int, pattern: str | None = None, **options: Any) -> fields.String:
    """A text of `low` to `high` characters, all of it matching `pattern` if given."""
    checks: list[Any] = [validate.Length(min=low, max=high), plain_text]
    if pattern is not None:
        checks.append(WholeText(pattern))
    return fields.String(validate=checks, **options)


class WholeText(validate.Regexp):
    """The whole text matches. OpenAPI shows the pattern as `^...$`."""

    def __init__(self, pattern: str, **options: Any) -> None:
        super().__init__(f"^(?:{pattern})$", **options)
        self._whole = re.compile(pattern)

    def __call__(self, value: str) -> str:  # type: ignore[override]  # texts only
        if self._whole.fullmatch(value) is None:  # `$` alone would accept a final newline
            raise ValidationError(self._format_error(value))
        return value


def sku_field(**options: Any) -> fields.String:
    return text_field(high=64, pattern=r"[A-Za-z0-9][A-Za-z0-9._-]*", **options)


class Moment(fields.String):
    """A moment with a zone (RFC 3339); loads into the same moment in UTC with microseconds."""

    default_error_messages = {  # noqa: RUF012 - marshmallow's way
        "invalid": "Not an RFC 3339 date-time with a zone, such as 2026-01-31T12:00:00Z (in a query, + is %2B)."
    }

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> str:
        text = super()._deserialize(value, attr, data, **kwargs).upper()
        try:
            if _RFC_3339.fullmatch(text):
                moment = datetime.fromisoformat(text).astimezone(UTC)
                return moment.isoformat(timespec="microseconds").replace("+00:00", "Z")
        except (ValueError, OverflowError):
            pass  # no such day, or out of range
        raise self.make_error("invalid")


def is_id(value: str) -> bool:
    """Whether `value` is a UUID in its canonical form; no resource has any other id."""
    return re.fullmatch(ID_PATTERN, value) is not None


def id_field(**options: Any) -> fields.String:
    """A UUID in its canonical form."""
    return text_field(low=36, high=36, pattern=ID_PATTERN, **options)


class MoneySchema(StrictSchema):
    """`{"amount": 1999, "currency": "usd"}`: integer minor units of an ISO 4217 currency in lower case."""

    amount = Integer(required=True, validate=validate.Range(min=0, max=MAX_AMOUNT))
    currency = fields.String(required=True, validate=validate.OneOf(CURRENCIES))


class TolerantMoneySchema(MoneySchema):
    """Money in a foreign event."""

    class Meta:
        unknown = EXCLUDE
