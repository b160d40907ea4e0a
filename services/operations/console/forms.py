"""Parses the console's forms. An invalid value raises `FormError` with the reason."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

from flask import request

from common.errors import NotFound, Rejected
from common.money import Money, from_decimal_text, to_decimal_text
from common.schemas import is_id

MAX_TEXT = 500


class FormError(Rejected):
    code = "invalid_form"


def known_id(value: str) -> str:
    """`value` if it is an id; other values must not get into the path of a request to another context."""
    if not is_id(value):
        raise NotFound("There is nothing with this id.")
    return value


def key() -> str:
    """The form's own key: sent twice, it acts once."""
    return known_id(request.form.get("key", ""))


def text(name: str, *, required: bool = True) -> str:
    value = request.form.get(name, "").strip()
    if required and not value:
        message = f"Fill in {name.replace('_', ' ')}."
        raise FormError(message)
    if len(value) > MAX_TEXT:
        message = f"{name.replace('_', ' ').capitalize()} has at most {MAX_TEXT} characters."
        raise FormError(message)
    return value


def amount() -> dict[str, Any]:
    """{"amount": ...} of an amount as people write it, 12.50; {} if the field is empty: all that is left."""
    value = request.form.get("amount", "").strip()
    if not value:
        return {}
    currency = text("currency")
    try:
        found = from_decimal_text(value, currency)
    except ValueError:
        example = to_decimal_text(Money(1250, currency))
        message = (
            f"An amount in {currency.upper()} is a number such as {example}, without separators. Nothing was sent."
        )
        raise FormError(message) from None
    return {"amount": {"amount": found.amount, "currency": currency}}


def number(name: str, low: float, high: float) -> float:
    try:
        value = float(request.form.get(name, ""))
    except ValueError:
        value = low - 1
    if not low <= value <= high:
        message = f"{name.capitalize()} is a number from {low:g} to {high:g}."
        raise FormError(message)
    return value


def moment(name: str, value: str) -> datetime:
    """The value of a field for date and time; without a zone it is UTC."""
    try:
        found = datetime.fromisoformat(value)
        return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
    except (ValueError, OverflowError):
        message = f"{name.replace('_', ' ').capitalize()} is a date and a time such as 2026-01-31T12:00, in UTC."
        raise FormError(message) from None


def event(name: str) -> dict[str, Any]:
    """A JSON object."""
    try:
        value = json.loads(request.form.get(name, ""))
    except (ValueError, RecursionError) as error:
        message = f"The event is not JSON: {error}."
        raise FormError(message) from None
    if not isinstance(value, dict):
        raise FormError("The event is not a JSON object.")
    return value
