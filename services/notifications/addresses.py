"""Checks that a URL's host resolves to allowed addresses, when an endpoint is created.

It reports mistakes to the owner at once. The check before each connection (`common/web/guarded_http.py`) is the
protection, because names change. So a slow or failing resolver rejects no endpoint.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as TooSlowError
from typing import TYPE_CHECKING

from common.web.guarded_http import AddressRefusedError, resolve
from services.notifications.urls import host_and_port

if TYPE_CHECKING:
    from common.web.public_addresses import Networks

RESOLVE_SECONDS = 2.0
_resolvers = ThreadPoolExecutor(max_workers=4, thread_name_prefix="resolver")


def refused_address(url: str, allowed: Networks) -> str | None:
    """Why connections to the host are not allowed, as text; None if they are allowed or it is unknown."""
    host, port = host_and_port(url)
    try:
        _resolvers.submit(resolve, host, port, allowed).result(RESOLVE_SECONDS)
    except AddressRefusedError:
        return "The host resolves to an address that is not public."
    except (TooSlowError, OSError, UnicodeError):
        return None
    return None
