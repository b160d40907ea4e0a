"""Whether a URL's host resolves to addresses that may be connected to, asked when an endpoint is made.

It is a service to the owner, who learns of a mistake at once. What protects is the check before each connection
(`common/web/guarded_http.py`): names change. So a resolver that is slow, or knows nothing, refuses no endpoint.
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
    """Why the host may not be connected to, for people; None if it may, or if that cannot be said now."""
    host, port = host_and_port(url)
    try:
        _resolvers.submit(resolve, host, port, allowed).result(RESOLVE_SECONDS)
    except AddressRefusedError:
        return "The host resolves to an address that is not public."
    except (TooSlowError, OSError, UnicodeError):
        return None
    return None
