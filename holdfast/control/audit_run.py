"""Runs an audit on request: one at a time, in a thread, with readable progress; its verdict is recorded in the system.

It reads with the token of the operator who requested it, and uses this process's access to the payment provider's
ledger and the broker's management API, like `holdfast audit`.
"""

from __future__ import annotations

import threading
import time
import uuid
from typing import TYPE_CHECKING, Any

import requests
import stripe
import structlog

from holdfast.audit.ledger import Ledger
from holdfast.audit.reading import Reader
from holdfast.audit.report import send
from holdfast.audit.run import audit
from holdfast.client import ApiError, Client

if TYPE_CHECKING:
    from holdfast.audit.backlog import Backlog
    from holdfast.audit.run import Verdict
    from holdfast.target import Target

SETTLE_SECONDS, BEHIND_SECONDS = 60.0, 300.0
FAILURES = (requests.RequestException, ApiError, stripe.StripeError, OSError, LookupError, ValueError)
_log = structlog.stdlib.get_logger(__name__)


class AuditRunningError(Exception):
    """An audit is running."""


class AuditRun:
    """The running audit, or the last one since this process started. Thread-safe."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self._lock = threading.Lock()
        self._state: dict[str, Any] | None = None
        self._started = 0.0

    @property
    def state(self) -> dict[str, Any] | None:
        """{id, state: running | done | failed, by, reading, done: [...], seconds, audit_id, error}."""
        with self._lock:
            if self._state is None:
                return None
            is_running = self._state["state"] == "running"
            seconds = time.monotonic() - self._started if is_running else self._state["seconds"]
            return {**self._state, "done": list(self._state["done"]), "seconds": round(seconds, 1)}

    def start(self, token: str, by: str) -> None:
        """Raises `AuditRunningError`."""
        with self._lock:
            if self._state is not None and self._state["state"] == "running":
                raise AuditRunningError
            self._started = time.monotonic()
            self._state = {
                "id": str(uuid.uuid4()), "state": "running", "by": by, "reading": "the system", "done": [],
                "seconds": 0.0, "audit_id": None, "error": "",
            }  # fmt: skip
        _log.info("audit started", caller=by)
        threading.Thread(target=self._run, args=(token, by), name="audit", daemon=True).start()

    def _run(self, token: str, by: str) -> None:
        result: dict[str, Any]
        try:
            recorded = send(Client(self._target.url, lambda: token), self._audited(token))
            result = {"state": "done", "audit_id": recorded["id"]}
        except FAILURES as error:
            result = {"state": "failed", "error": f"The system could not be read: {error}"[:300]}
        except Exception:
            _log.exception("audit failed", caller=by)
            self._finish({"state": "failed", "error": "This is a fault of the audit. It is in the log of `control`."})
            raise
        self._finish(result)
        _log.info("audit ended", caller=by, **result)

    def _audited(self, token: str) -> Verdict:
        ledger = Ledger(self._target.ledger_key, self._target.ledger_url)
        reader = Reader(Client(self._target.url, lambda: token, patient=True), ledger, self._target.management_url)
        return audit(
            reader,
            settle_seconds=SETTLE_SECONDS,
            behind_seconds=BEHIND_SECONDS,
            progress=self._show,
            waiting=self._show_waiting,
        )

    def _show(self, what: str) -> None:
        with self._lock:
            if self._state is not None:
                known = [*self._state["done"], self._state["reading"]]
                self._state.update(reading=what, done=[each for each in known if each not in ("the system", what)][-8:])

    def _show_waiting(self, backlog: Backlog) -> None:
        self._show(f"again soon: the {backlog}")

    def _finish(self, result: dict[str, Any]) -> None:
        with self._lock:
            if self._state is not None:
                self._state.update(result, reading="", seconds=time.monotonic() - self._started)
