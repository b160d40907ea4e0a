"""Parses and checks `SMTP_URL` and `MAIL_FROM`."""

from __future__ import annotations

from email.headerregistry import Address
from email.utils import parseaddr
from urllib.parse import urlsplit

from marshmallow import ValidationError

DEFAULT_PORTS = {"smtps": 465, "smtp+starttls": 587, "smtp": 25}


def check_smtp_url(value: str) -> None:
    """A check: it never repeats the URL, which has a password."""
    try:
        parts = urlsplit(value)
        good = parts.scheme in DEFAULT_PORTS and bool(parts.hostname) and parts.port != 0
        good = good and not parts.query and not parts.fragment and parts.path in {"", "/"}
    except ValueError:
        good = False
    if not good:
        raise ValidationError("expected smtps://, smtp+starttls:// or smtp://, a host and optionally a port")
    if parts.scheme == "smtp" and parts.username:
        raise ValidationError("a login needs smtps:// or smtp+starttls://: with smtp:// its password would go in clear")


def check_sender(value: str) -> None:
    """A check: `NAME <ADDRESS>`, or an address alone."""
    try:
        read_sender(value)
    except Exception:  # noqa: BLE001 - whatever the parser says
        raise ValidationError("expected an address, or NAME <ADDRESS>, in ASCII") from None


def read_sender(value: str) -> Address:
    """Raises ValueError for an invalid address."""
    name, address = parseaddr(value)
    if "@" not in address or not value.isascii() or not value.isprintable():
        raise ValueError("no address")
    return Address(display_name=name, addr_spec=address)
