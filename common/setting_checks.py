"""Checks of settings: each takes a value and raises ValidationError, which says what was expected.

A message never repeats a URL: there may be a password in it.
"""

from __future__ import annotations

import re
from ipaddress import ip_network
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from environs import validate
from marshmallow import ValidationError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    Check = Callable[[Any], object]


def url_with(*schemes: str) -> Check:
    """The value is a URL with a host and one of `schemes`. MongoDB's may name several: its replica set's."""

    def check(value: str) -> None:
        try:
            # Not by urlsplit as a whole: before Python 3.11.4 it refuses several hosts of which one is IPv6.
            scheme, _, rest = value.partition("://")
            place = re.split("[/?#]", rest, maxsplit=1)[0]
            hosts = place.rpartition("@")[2].split(",") if scheme == "mongodb" else [place]
            valid = scheme in schemes and all(map(_is_host, hosts))
        except ValueError:  # a bad port, or a bad IPv6 address
            valid = False
        if not valid:
            message = f"expected a URL that starts with {' or '.join(f'{scheme}://' for scheme in schemes)}"
            raise ValidationError(message)

    return check


def urls_with(*schemes: str) -> Check:
    """One such URL, or several of the same cluster, separated by `;`."""
    check_one = url_with(*schemes)

    def check(value: str) -> None:
        for number, url in enumerate(urls := value.split(";"), 1):
            try:
                check_one("" if url != url.strip() else url)
            except ValidationError as error:
                place = f"URL {number} of {len(urls)}: " if len(urls) > 1 else ""
                raise ValidationError(f"{place}{error.messages[0]}") from None

    return check


def urls_by(kind: str, check_one: Check, *, names: Collection[str] = ()) -> Check:
    """A JSON object from `kind` (a context, a process) to a URL that passes `check_one`; with exactly these `names`."""

    def check(value: Any) -> None:
        if not isinstance(value, dict) or not value or (names and set(value) != set(names)):
            expected = f"for {', '.join(names)}" if names else "that is not empty"
            message = f"expected a JSON object {expected}: {kind} -> URL"
            raise ValidationError(message)
        for name, url in value.items():
            try:
                check_one(url if isinstance(url, str) else "")
            except ValidationError as error:
                message = f"{name}: {error.messages[0]}"
                raise ValidationError(message) from None

    return check


def networks(value: str) -> None:
    """One network in CIDR notation or several, with commas between."""
    for text in value.split(","):
        try:
            ip_network(text.strip())
        except ValueError as error:
            message = f"expected networks like 10.0.0.0/8, with commas between: {error}"
            raise ValidationError(message) from None


def between(low: float, high: float) -> Check:
    """Low <= value <= high."""
    return validate.Range(min=low, max=high)


def one_of(*values: str) -> Check:
    return validate.OneOf(values)


def _is_host(text: str) -> bool:
    parts = urlsplit(f"//{text}")
    return bool(parts.hostname) and parts.port != 0


POSTGRES_URL = url_with("postgresql", "postgresql+psycopg2")
HTTP_URL = url_with("http", "https")
PORT = between(1, 65_535)
RATE = validate.Regexp(r"^[1-9][0-9]{0,8}/(second|minute|hour|day)$", error="expected a rate like 600/minute")
ROUTE_RATES = validate.Regexp(
    r"^([A-Z]+ /\S*=[1-9][0-9]{0,8}/(second|minute|hour|day)(;\s*|$))*$",
    error="expected rates of routes like POST /api/v1/users=60/hour",
)
RATE_STORE = validate.Regexp(r"^(memory://|mongodb(\+srv)?://.+)$", error="expected memory:// or a URL of MongoDB")
