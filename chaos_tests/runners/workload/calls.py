"""One operation: recorded, sent, answered, recorded again. The only place that interprets responses."""

from __future__ import annotations

import asyncio
import itertools
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from chaos_tests.runners.history import FAIL, INFO, INVOKE, OK
from chaos_tests.runners.workload.wire import Connection, NotSentError, Reply

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from chaos_tests.runners.history import History

TOKEN_SECONDS = 1_800  # half of its life
IN_FLIGHT = "idempotency_key_in_flight"
# Errors of a connection whose peer dies, hangs or sends malformed data.
TROUBLE = (OSError, EOFError, ValueError, IndexError, asyncio.LimitOverrunError, TimeoutError)


@dataclass(frozen=True, slots=True)
class Done:
    """The outcome of an operation for the history; `document` is the response's, if any."""

    type: str
    value: dict[str, Any] = field(default_factory=dict)
    error: str | None = None
    document: dict[str, Any] = field(default_factory=dict)
    retry_after_seconds: float = 0.0


class Recorder:
    """Numbers the operations of one workload; counts the orders that were accepted."""

    def __init__(self, history: History) -> None:
        self.history = history
        self._accepted: set[str] = set()
        self._numbers = itertools.count()

    @property
    def accepted(self) -> int:
        return len(self._accepted)

    def invoke(self, process: str, f: str, value: dict[str, Any]) -> int:
        i = next(self._numbers)
        self.history.append("op", i=i, process=process, type=INVOKE, f=f, value=value)
        return i

    def done(self, i: int, process: str, f: str, done: Done) -> None:
        if done.type == OK and f == "place":
            self._accepted.add(done.value["id"])
        self.history.append("op", i=i, process=process, type=done.type, f=f, value=done.value, error=done.error)


class Login:
    """A bearer token for these credentials, fetched if there is none, if it expires and if it was rejected."""

    def __init__(self, url: str, credentials: dict[str, str]) -> None:
        self._url, self._credentials = url, credentials
        self._token, self._fetched_at = "", 0.0

    async def token(self, timeout_seconds: float) -> str:
        """Raises `NotSentError` if none is available: then nothing was sent."""
        if not self._token or time.monotonic() - self._fetched_at > TOKEN_SECONDS:
            connection = Connection(self._url)
            try:
                async with asyncio.timeout(timeout_seconds):
                    reply = await connection.request("POST", "/api/v1/tokens", self._credentials)
                self._token, self._fetched_at = str(reply.document()["access_token"]), time.monotonic()
            except (*TROUBLE, KeyError) as error:
                message = f"no token: {error!r}"
                raise NotSentError(message) from error
            finally:
                connection.close()
        return self._token

    def forget(self) -> None:
        self._token = ""


class Session:
    """One connection of a signed-in user. One operation at a time."""

    def __init__(self, process: str, url: str, login: Login, recorder: Recorder, timeout_seconds: float) -> None:
        self.process = process
        self._connection, self._login, self._recorder = Connection(url), login, recorder
        self._timeout_seconds = timeout_seconds

    async def run(
        self,
        f: str,
        value: dict[str, Any],
        method: str,
        path: str,
        body: dict[str, Any] | None = None,
        *,
        key: str | None = None,
        patience_seconds: float | None = None,
    ) -> Done:
        """Execute one operation and record it. Raises only cancellation."""
        i = self._recorder.invoke(self.process, f, value)
        reply = self._reply(method, path, body, key)
        done = await self._attempt(f, reply, patience_seconds or self._timeout_seconds)
        self._recorder.done(i, self.process, f, done)
        return done

    def close(self) -> None:
        self._connection.close()

    async def _reply(self, method: str, path: str, body: dict[str, Any] | None, key: str | None) -> Reply:
        headers = {"Authorization": f"Bearer {await self._login.token(self._timeout_seconds)}"}
        headers |= {"Idempotency-Key": key} if key else {}
        return await self._connection.request(method, path, body, headers)

    async def _attempt(self, f: str, answer: Awaitable[Reply], patience_seconds: float) -> Done:
        try:
            async with asyncio.timeout(patience_seconds):
                reply = await answer
        except NotSentError as error:
            return Done(FAIL, error=f"not sent: {error}")
        except TROUBLE as error:
            return Done(INFO, error=type(error).__name__)
        if reply.status == 401:
            self._login.forget()
        return outcome(reply, f)


def outcome(reply: Reply, f: str) -> Done:
    """The outcome of a response. A 4xx was decided before anything was written; after a 5xx it is unknown."""
    try:
        document = reply.document()
    except ValueError:
        kind = INFO if reply.status < 400 or reply.status >= 500 else FAIL
        return Done(kind, error=f"{reply.status} without a document")
    if reply.status < 300:
        return Done(OK, _summary(reply, f, document), None, document)
    wait = reply.headers.get("retry-after", "")
    error = f"{reply.status} {document.get('code', '')}".strip()
    # Another request with this key is in flight, perhaps one that the gateway has retried: its outcome decides.
    in_doubt = reply.status >= 500 or document.get("code") == IN_FLIGHT
    return Done(INFO if in_doubt else FAIL, {}, error, document, float(wait) if wait.isdecimal() else 0.0)


def _summary(reply: Reply, f: str, document: dict[str, Any]) -> dict[str, Any]:
    """The part of a success that the checker needs."""
    if f in {"place", "cancel", "read"}:
        replayed = {"replayed": True} if reply.headers.get("idempotent-replayed") == "true" else {}
        reported = {"id": document["id"], "status": document["status"], "version": document["version"], **replayed}
        return reported | ({"total": document["total"]["amount"]} if f == "place" else {})
    if f == "stock":
        return {name: document[name] for name in ("sku", "on_hand", "reserved", "available", "sold", "version")}
    return {"count": len(document["data"])} if isinstance(document.get("data"), list) else {}
