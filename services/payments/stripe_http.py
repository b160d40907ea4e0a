"""Sends the requests of Stripe's client with urllib3, one kept connection per thread that calls at the same time.

Stripe's own choice, requests, takes much of a call's processor time: for each request it searches the netrc file, reads
the environment and merges cookies. Here the environment's proxy (HTTPS_PROXY, NO_PROXY) is read once.
Guarantee: a request is sent once; a redirect is not followed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import stripe
import urllib3
from requests.utils import get_auth_from_url, get_environ_proxies, select_proxy
from urllib3.exceptions import HTTPError
from urllib3.util import make_headers

if TYPE_CHECKING:
    from collections.abc import Mapping

CONNECT_SECONDS = 2.0
KEPT_CONNECTIONS = 32  # more are opened if needed, and closed after their request


def make_client(api_key: str, base_url: str, *, timeout_seconds: float) -> stripe.StripeClient:
    """Stripe's client for the API at `base_url`. Thread-safe. The time-out is that of each read."""
    stripe.enable_telemetry = False  # it would write to the home directory
    return stripe.StripeClient(
        api_key,
        base_addresses={"api": base_url},
        max_network_retries=0,
        http_client=_PooledClient(base_url, timeout_seconds),
    )


class _PooledClient(stripe.HTTPClient):
    name = "urllib3"

    def __init__(self, base_url: str, timeout_seconds: float) -> None:
        super().__init__()
        self._pool = _pool(
            base_url,
            maxsize=KEPT_CONNECTIONS,
            retries=False,
            timeout=urllib3.Timeout(connect=min(CONNECT_SECONDS, timeout_seconds), read=timeout_seconds),
            ca_certs=stripe.ca_bundle_path,
        )

    def request(self, method: str, url: str, headers: Mapping[str, str] | None, post_data: Any = None, **_: Any) -> Any:
        """The bytes, status and headers of the response. Raises `stripe.APIConnectionError` without one."""
        try:
            reply = self._pool.request(method, url, body=post_data, headers=headers, redirect=False)
        except HTTPError as error:
            message = f"no response from Stripe: {error}"
            raise stripe.APIConnectionError(message) from error
        return reply.data, reply.status, reply.headers

    def close(self) -> None:
        self._pool.clear()


def _pool(base_url: str, **options: Any) -> urllib3.PoolManager:
    """Connections to this address, through the environment's proxy if it names one for it."""
    proxy = select_proxy(base_url, get_environ_proxies(base_url))
    if not proxy:
        return urllib3.PoolManager(**options)
    proxy = proxy if "://" in proxy else f"http://{proxy}"
    login = get_auth_from_url(proxy)
    headers = make_headers(proxy_basic_auth=":".join(login)) if any(login) else None
    return urllib3.ProxyManager(proxy, proxy_headers=headers, **options)
