"""The other contexts' HTTP APIs, called as the signed-in operator: every call is bounded in time and size.

A context that does not answer raises `ContextDownError` (or has one in the result of `read_all`), so that a page shows
the rest. No request is retried.
"""

from __future__ import annotations

import json
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import requests

from common.observability import logs

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

CONNECT_SECONDS, READ_SECONDS = 0.5, 4.0
READY_SECONDS = 1.5
ACT_SECONDS = 15.0  # a refund waits for the payment provider
MAX_BYTES = 8 * 1024 * 1024
CONTROL = "control"  # not a context: the control process of a local stack
_SERVICE, _METRICS = "service-", "/metrics"
_THREADS = 16
_PROVIDER_SENTENCES = {
    "payment_provider_unavailable": "The payment provider does not answer. Payments retries automatically.",
    "payment_provider_undecided": "The payment provider answers, and has not decided. Payments retries automatically.",
    "payment_provider_busy": "Another request about this payment is in progress. Try again soon.",
}
_log = logs.logger(__name__)


class ContextDownError(Exception):
    """A context does not answer, or returns a 5xx."""

    def __init__(self, context: str, detail: str, code: str = "") -> None:
        super().__init__(f"{context}: {detail}")
        self.context, self.detail, self.code = context, detail, code

    @property
    def is_provider(self) -> bool:
        """Whether the payment provider does not answer: payments completes the request later."""
        return self.code in _PROVIDER_SENTENCES

    @property
    def sentence(self) -> str:
        """Names the unavailable party: the context, or the payment provider behind it."""
        return _PROVIDER_SENTENCES.get(self.code, f"The {self.context} service does not answer ({self.detail}).")


class RefusedError(Exception):
    """A context rejects the request: its problem document."""

    def __init__(self, status: int, problem: Mapping[str, Any]) -> None:
        self.status, self.code = status, str(problem.get("code", ""))
        self.detail = str(problem.get("detail") or f"status {status}")
        self.errors: dict[str, list[str]] = dict(problem.get("errors") or {})
        super().__init__(self.detail)


class SignedOutError(Exception):
    """The token is no longer valid."""


class Contexts:
    """The services in METRICS_URLS: each serves its API at the address of its metrics."""

    def __init__(self, metrics_urls: Mapping[str, str], control_url: str | None = None) -> None:
        self._urls = {
            name.removeprefix(_SERVICE): url.removesuffix(_METRICS)
            for name, url in metrics_urls.items()
            if name.startswith(_SERVICE)
        }
        self._control_url = control_url
        self._executor = ThreadPoolExecutor(_THREADS, thread_name_prefix="contexts")

    @property
    def has_control(self) -> bool:
        """Whether this is a local stack, with a control process."""
        return self._control_url is not None

    def get(self, context: str, path: str, token: str, **query: str | int | None) -> dict[str, Any]:
        """The JSON object at `path`. Raises the errors above."""
        known = {name: value for name, value in query.items() if value not in (None, "")}
        return self._send("GET", context, path, READ_SECONDS, _bearer(token), params=known)

    def post(
        self, context: str, path: str, token: str | None, body: Mapping[str, Any] | None = None, **headers: str
    ) -> dict[str, Any]:
        """The JSON object that a POST returns; `headers` have `_` for `-`. Raises the errors above."""
        sent = _bearer(token) | {name.replace("_", "-"): value for name, value in headers.items()}
        return self._send("POST", context, path, ACT_SECONDS, sent, json={} if body is None else body)

    def patch(self, context: str, path: str, token: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """The JSON object that a PATCH returns. Raises the errors above."""
        return self._send("PATCH", context, path, ACT_SECONDS, _bearer(token), json=body)

    def read_all(self, **reads: Callable[[], Any]) -> dict[str, Any]:
        """Execute these reads concurrently; the value of a failed one is its `ContextDownError` or `RefusedError`."""
        running = {name: self._executor.submit(_attempt, read) for name, read in reads.items()}
        return {name: future.result() for name, future in running.items()}

    def ready_checks(self) -> dict[str, Callable[[], list[str] | None]]:
        """A read for `read_all` for each service, by its process name."""
        return {f"{_SERVICE}{name}": partial(_failing_checks, url) for name, url in self._urls.items()}

    def _send(
        self, method: str, context: str, path: str, seconds: float, headers: dict[str, str], **options: Any
    ) -> dict[str, Any]:
        url = self._control_url if context == CONTROL else self._urls.get(context)
        if url is None:
            text = "LOCAL_CONTROL_URL is not set" if context == CONTROL else "METRICS_URLS does not name this service"
            raise ContextDownError(context, text)
        try:
            status, body = _exchange(method, f"{url}/api/v1{path}", seconds, headers, options)
        except (requests.RequestException, ValueError, RecursionError) as error:
            _log.warning("a context does not answer", context=context, error=type(error).__name__)
            detail = "no reply in time" if isinstance(error, requests.Timeout) else "no connection, or no valid reply"
            raise ContextDownError(context, detail) from None
        if status == HTTPStatus.UNAUTHORIZED and "Authorization" in headers:
            raise SignedOutError
        if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            detail, code = str(body.get("detail") or f"status {status}"), str(body.get("code", ""))
            raise ContextDownError(context, detail, code)
        if status >= HTTPStatus.BAD_REQUEST:
            raise RefusedError(status, body)
        return body


def failing_services(found: Mapping[str, Any]) -> dict[str, list[str]]:
    """The failing checks of the services that answered `ready_checks`: `service-orders` -> [`postgres`]."""
    return {name: failing for name, failing in found.items() if isinstance(failing, list)}


def _exchange(
    method: str, url: str, seconds: float, headers: dict[str, str], options: dict[str, Any]
) -> tuple[int, dict[str, Any]]:
    deadline = time.monotonic() + seconds
    with requests.Session() as session:
        session.trust_env = False  # ignore proxies from the environment for internal calls
        with session.request(
            method,
            url,
            headers=headers,
            timeout=(CONNECT_SECONDS, seconds),
            stream=True,
            allow_redirects=False,
            **options,
        ) as reply:
            text = b""
            for chunk in reply.iter_content(65536):
                text += chunk
                if len(text) > MAX_BYTES or time.monotonic() > deadline:
                    raise requests.Timeout
    body = json.loads(text)
    if not isinstance(body, dict):
        raise ValueError("not a JSON object")  # noqa: TRY004 - a bad reply, not a bad call
    return reply.status_code, body


def _failing_checks(url: str) -> list[str] | None:
    try:
        status, body = _exchange("GET", f"{url}/readyz", READY_SECONDS, {}, {})
    except (requests.RequestException, ValueError):
        return None
    return [] if status == HTTPStatus.OK else list(body.get("errors") or ["gives no reason"])


def _attempt(read: Callable[[], Any]) -> Any:
    try:
        return read()
    except (ContextDownError, RefusedError) as error:
        return error


def _bearer(token: str | None) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"} if token else {}
