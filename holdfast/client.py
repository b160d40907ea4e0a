"""A client of the public API, for the commands: every call has a time-out, and an error response becomes an exception.

A patient client retries safe requests a few times when the system is busy (429, 503), so that it can read under load.
Unsafe requests are sent once, unless they have an Idempotency-Key and the client waits for a starting system.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Self

import requests

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

# Longer than the gateway waits for a service (20 s): its response says more than a time-out.
CONNECT_SECONDS, READ_SECONDS = 3.0, 25.0
PAGE = 100
BUSY = frozenset({requests.codes.too_many_requests, requests.codes.service_unavailable})
TRIES = 4
LONGEST_PAUSE_SECONDS = 3.0


class ApiError(Exception):
    """An error response: its status and, if present, its problem document."""

    def __init__(self, status: int, problem: dict[str, Any], retry_after: str = "") -> None:
        super().__init__(f"{status} {problem.get('code', '')}: {problem.get('detail', '')}")
        self.status, self.problem = status, problem
        self.retry_after_seconds = float(retry_after) if retry_after.isdecimal() else 1.0

    @property
    def code(self) -> str:
        return str(self.problem.get("code", ""))


class Client:
    """Calls the gateway at `url`; `token` returns a bearer token whenever a new one is needed."""

    def __init__(self, url: str, token: Callable[[], str] | None = None, *, patient: bool = False) -> None:
        self.url = url.rstrip("/")
        self._token = token
        self._tries = TRIES if patient else 1
        self._wait_seconds = 0.0
        self._session = requests.Session()
        self._session.trust_env = False  # ignore proxies from the environment

    def waiting(self, seconds: float) -> Self:
        """Wait that long for a busy or starting system; unsafe requests are retried only with a key."""
        self._wait_seconds = seconds
        return self

    def get(self, path: str, **query: Any) -> Any:
        return self._patiently(lambda: self.call("GET", path, query=query))

    def post(self, path: str, body: dict[str, Any] | None = None, *, key: str | None = None) -> Any:
        """POST `body`; `key` is the Idempotency-Key."""
        if key is None or not self._wait_seconds:
            return self.call("POST", path, body=body or {}, headers={"Idempotency-Key": key} if key else {})
        return self._patiently(lambda: self.call("POST", path, body=body or {}, headers={"Idempotency-Key": key}))

    def token(self, credentials: dict[str, str]) -> str:
        """A bearer token for these credentials."""
        return str(self._patiently(lambda: self.post("/api/v1/tokens", credentials))["access_token"])

    def all(self, path: str, **query: Any) -> Iterator[dict[str, Any]]:
        """Every item of a list, page by page; the cursor is the item's `id`, or its `sku`."""
        after: dict[str, Any] = {}
        while True:
            page = self.get(path, limit=PAGE, **query, **after)
            yield from page["data"]
            if not page["has_more"]:
                return
            last = page["data"][-1]
            after = {"starting_after": last.get("id", last.get("sku"))}

    def _patiently(self, ask: Callable[[], Any]) -> Any:
        deadline = time.monotonic() + self._wait_seconds
        tries_left = self._tries - 1
        while True:
            try:
                return ask()
            except ApiError as error:
                if error.status not in BUSY or (tries_left <= 0 and time.monotonic() >= deadline):
                    raise
                longest_seconds = max(LONGEST_PAUSE_SECONDS, deadline - time.monotonic())
                time.sleep(min(error.retry_after_seconds, longest_seconds))
            tries_left -= 1

    def call(
        self,
        method: str,
        path: str,
        *,
        query: dict[str, Any] | None = None,
        body: dict[str, Any] | None = None,
        headers: dict[str, str] | None = None,
    ) -> Any:
        """One request; an expired token is replaced once. Raises `ApiError` and requests' exceptions."""
        reply = self._send(method, path, query, body, headers or {})
        if reply.status_code == requests.codes.unauthorized and self._token is not None:
            self._session.headers.pop("Authorization", None)
            reply = self._send(method, path, query, body, headers or {})
        if not reply.ok:
            raise ApiError(reply.status_code, _problem(reply), reply.headers.get("Retry-After", ""))
        return reply.json() if reply.content else None

    def _send(
        self,
        method: str,
        path: str,
        query: dict[str, Any] | None,
        body: dict[str, Any] | None,
        headers: dict[str, str],
    ) -> requests.Response:
        if self._token is not None and "Authorization" not in self._session.headers:
            self._session.headers["Authorization"] = f"Bearer {self._token()}"
        present = {name: value for name, value in (query or {}).items() if value is not None}
        return self._session.request(
            method,
            f"{self.url}{path}",
            params=present,
            json=body,
            headers=headers,
            timeout=(CONNECT_SECONDS, READ_SECONDS),
        )


def _problem(reply: requests.Response) -> dict[str, Any]:
    try:
        document = reply.json()
    except ValueError:
        document = None
    return document if isinstance(document, dict) else {"detail": reply.text[:200]}
