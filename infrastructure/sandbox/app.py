"""The sandbox as one function from request to reply: routing by first path segment, ids, logs, last-resort errors.

Guarantee: every response is JSON with a Request-Id, also after internal errors.
"""

import threading
import time
from typing import Any

from infrastructure.sandbox.api import Api
from infrastructure.sandbox.errors import ApiError, server_error
from infrastructure.sandbox.exchange import Dropped, Reply, Request, json_reply
from infrastructure.sandbox.fault_api import FaultApi, problem
from infrastructure.sandbox.faults import FaultBook
from infrastructure.sandbox.identifiers import new_id
from infrastructure.sandbox.logs import log
from infrastructure.sandbox.metrics import Metrics
from infrastructure.sandbox.storage import Storage

ECHOED = ("Idempotency-Key", "Stripe-Version")


class Sandbox:
    """Everything behind the socket."""

    def __init__(self, storage: Storage, stopping: threading.Event) -> None:
        self._storage = storage
        faults = FaultBook(storage)
        self._api = Api(storage, faults, stopping)
        self._fault_api = FaultApi(faults)
        self._metrics = Metrics()
        self._stopping = stopping

    def __call__(self, request: Request) -> Reply:
        if request.path == "/v1" or request.path.startswith("/v1/"):
            return self._answer_api(request)
        request_id = new_id("req", 14)
        try:
            reply = self._answer_admin(request)
        except Exception:  # noqa: BLE001 - the last resort, as below
            log.exception("request failed", request_id=request_id)
            reply = problem(500, "internal_error", "Something went wrong inside the sandbox.", request_id=request_id)
        return reply.with_headers(Request_Id=request_id)

    def _answer_admin(self, request: Request) -> Reply:
        if request.path == "/faults" or request.path.startswith("/faults/"):
            return self._fault_api.answer(request)
        return self._answer_probe(request)

    def _answer_api(self, request: Request) -> Reply:
        started, request_id = time.monotonic(), new_id("req", 14)
        noted: dict[str, Any] = {"operation": "unknown", "faults": []}
        status = "dropped"
        try:
            reply = self._guarded(request, request_id, noted)
            status = str(reply.status)
        finally:
            seconds = time.monotonic() - started
            self._metrics.count(noted["operation"], status, noted["faults"], seconds)
            log.info(
                "request",
                method=request.method,
                path=request.path[:200],
                status=status,
                duration_seconds=round(seconds, 4),
                request_id=request_id,
                idempotency_key=request.headers.get("Idempotency-Key"),
                **noted,
            )
        echoed = {name: value for name in ECHOED if (value := request.headers.get(name))}
        return reply.with_headers(Request_Id=request_id, **echoed)

    def _guarded(self, request: Request, request_id: str, noted: dict[str, Any]) -> Reply:
        try:
            return self._api.answer(request, request_id, noted.update)
        except ApiError as error:
            return error.reply()
        except Dropped:
            raise
        except Exception:  # noqa: BLE001 - the last resort: whatever it was, the answer is Stripe's 500
            log.exception("request failed", request_id=request_id)
            return server_error().reply()

    def _answer_probe(self, request: Request) -> Reply:
        if request.method not in ("GET", "HEAD"):
            return problem(405, "method_not_allowed", "Use GET.").with_headers(Allow="GET")
        if request.path == "/livez":
            return json_reply(200, {"status": "ok"})
        if request.path == "/readyz":
            return self._ready()
        if request.path == "/metrics":
            return self._metrics.reply()
        return problem(404, "not_found", "The API is at /v1, its faults are at /faults.")

    def _ready(self) -> Reply:
        if self._stopping.is_set():
            return problem(503, "stopping", "The sandbox is stopping.").with_headers(Retry_After="1")
        try:
            with self._storage.read() as tx:
                tx.execute("SELECT count(*) FROM faults").fetchone()
        except Exception:  # noqa: BLE001 - whatever keeps the ledger from being read
            log.exception("not ready")
            return problem(503, "storage_unavailable", "The ledger cannot be read.").with_headers(Retry_After="1")
        return json_reply(200, {"status": "ok"})
