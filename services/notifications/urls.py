"""The allowed URLs of an endpoint. Pure: resolved addresses are checked at connection time.

https, or http if the host is an address in a network that the installation allows, or a name (whose addresses are
checked against the same networks). No credentials, no fragment, at most `MAX_URL_LENGTH` characters.
"""

from __future__ import annotations

from ipaddress import ip_address
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from common.web.public_addresses import is_allowed

if TYPE_CHECKING:
    from urllib.parse import SplitResult

    from common.web.public_addresses import Networks

MAX_URL_LENGTH = 2048
MAX_HOST_LENGTH = 253
_NOT_IN_URLS = ' \\"<>^`{|}'
_PORTS = {"https": 443, "http": 80}


def problem_of(url: str, allowed: Networks) -> str | None:
    """The error as text; None if the URL is valid."""
    if len(url) > MAX_URL_LENGTH:
        return f"Longer than {MAX_URL_LENGTH} characters."
    if not url.isascii() or not url.isprintable() or any(sign in url for sign in _NOT_IN_URLS):
        return "Not a URL: only printable ASCII characters without spaces, others percent-encoded or in Punycode."
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return "Not a URL."
    return _parts_problem(parts, port) or _host_problem(parts.hostname or "", parts.scheme, allowed)


def host_and_port(url: str) -> tuple[str, int]:
    """The destination of a checked URL."""
    parts = urlsplit(url)
    return parts.hostname or "", parts.port or _PORTS[parts.scheme]


def _parts_problem(parts: SplitResult, port: int | None) -> str | None:
    if parts.scheme not in _PORTS:
        return "Must begin with https://."
    if parts.username is not None or parts.password is not None:
        return "Must not contain credentials: the signature shows who sends."
    if parts.fragment or not parts.hostname or port == 0:
        return "Must have a host, no fragment, and a port from 1 to 65535 if any."
    return None


def _host_problem(host: str, scheme: str, allowed: Networks) -> str | None:
    if len(host) > MAX_HOST_LENGTH or any(not 0 < len(label) < 64 for label in host.rstrip(".").split(".")):  # noqa: PLR2004 - RFC 1035
        return "The host's name is too long, or a part of it is empty."
    if scheme == "http" and not allowed:
        return "Must begin with https://."
    try:
        ip_address(host.partition("%")[0])
    except ValueError:
        return None
    return None if is_allowed(host, allowed) else "The host is not a public address."
