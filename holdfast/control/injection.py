"""One fault at a time, with a limited duration, recorded.

Guarantee: a fault is recorded before it is injected. This process or its successor undoes a recorded fault when its
duration is over, and retries until it succeeds. `close` undoes it at once.
"""

from __future__ import annotations

import json
import threading
import time
import uuid
from collections import deque
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import requests
import structlog

from infrastructure.local.errors import StackError
from infrastructure.local.home import write_private

if TYPE_CHECKING:
    from pathlib import Path

    from holdfast.control.faults import Fault, Faults

MIN_SECONDS, MAX_SECONDS = 5, 300
MAX_ACTS = 50
TICK_SECONDS = 0.25
RETRY_SECONDS = 1.0
FAILURES = (StackError, OSError, LookupError, ValueError, requests.RequestException)
_log = structlog.stdlib.get_logger(__name__)


class FaultActiveError(Exception):
    """Another fault is active."""


class Injection:
    """The active fault. `directory` stores the record and the last acts. Thread-safe."""

    def __init__(self, faults: Faults, directory: Path) -> None:
        self._faults = faults
        self._record, self._history = directory / "fault.json", directory / "acts.json"
        self._lock = threading.Lock()
        self._closing = threading.Event()
        directory.mkdir(mode=0o700, exist_ok=True)
        self._active: dict[str, Any] | None = _read(self._record)
        self._acts: deque[dict[str, Any]] = deque(_read(self._history) or (), maxlen=MAX_ACTS)
        self._thread = threading.Thread(target=self._watch, name="injection", daemon=True)
        self._thread.start()

    @property
    def active(self) -> dict[str, Any] | None:
        """{id, fault, title, target, by, seconds, started_at, left_seconds, problem}; None if no fault is active."""
        found = self._active
        return None if found is None else {**found, "left_seconds": max(0.0, _left_seconds(found))}

    @property
    def acts(self) -> list[dict[str, Any]]:
        """The acts with operator and time, newest first: {at, by, act, fault, title, target, text}."""
        return list(reversed(self._acts))

    def start(self, fault: Fault, target: str, seconds: float, by: str) -> None:
        """Raises `FaultActiveError`, or one of `FAILURES` if it could not be injected; then it is undone."""
        with self._lock:
            if self._active is not None:
                raise FaultActiveError
            record = {
                "id": str(uuid.uuid4()), "fault": fault.id, "title": fault.title, "target": target, "by": by,
                "seconds": seconds, "started_at": _now(), "problem": "",
            }  # fmt: skip
            self._remember(record)
            try:
                self._faults.inject(fault.id, target)
            except FAILURES as error:
                self._note("failed", record, by, str(error))
                self._end(record, "automatic")
                raise
            self._note("injected", record, by, "" if fault.is_momentary else f"for {seconds:.0f} s at most")
            if fault.is_momentary:
                self._remember(None)

    def undo(self, by: str) -> bool:
        """Undo the active fault; False if that failed and is retried automatically."""
        with self._lock:
            return self._active is None or self._end(self._active, by)

    def close(self) -> None:
        """Undo the active fault once: the stack stops."""
        self._closing.set()
        self._thread.join(timeout=10)
        self.undo("automatic")

    def _watch(self) -> None:
        while not self._closing.wait(TICK_SECONDS):
            with self._lock:
                due = self._active is not None and _left_seconds(self._active) <= 0
                undone = not due or self._active is None or self._end(self._active, "automatic")
            if not undone:
                self._closing.wait(RETRY_SECONDS)

    def _end(self, record: dict[str, Any], by: str) -> bool:
        try:
            self._faults.undo(record["fault"], record["target"])
        except FAILURES as error:
            _log.warning("a fault is not undone yet", fault=record["fault"], error=f"{type(error).__name__}: {error}")
            self._remember({**record, "problem": str(error)[:200] or type(error).__name__})
            return False
        self._note("undone", record, by, "")
        self._remember(None)
        return True

    def _note(self, act: str, record: dict[str, Any], by: str, text: str) -> None:
        fields = {name: record[name] for name in ("fault", "title", "target")}
        self._acts.append({"at": _now(), "by": by, "act": act, **fields, "text": text[:200]})
        write_private(self._history, json.dumps(list(self._acts)) + "\n")
        _log.info("fault " + act, caller=by, fault=record["fault"], target=record["target"], text=text)

    def _remember(self, record: dict[str, Any] | None) -> None:
        if record is None:
            self._record.unlink(missing_ok=True)
        else:
            write_private(self._record, json.dumps(record) + "\n")
        self._active = record


def _left_seconds(record: dict[str, Any]) -> float:
    """The remaining seconds. 0 also after a failed undo, and if the clock was set back."""
    if record["problem"]:
        return 0.0
    passed = time.time() - datetime.fromisoformat(record["started_at"]).timestamp()
    return float(record["seconds"]) - passed if passed >= 0 else 0.0


def _read(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
