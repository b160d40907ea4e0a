"""/livez, /readyz and /metrics.

Liveness checks no dependency: a restart does not repair a database. Readiness runs each check in its own thread with a
short time-out, so a frozen dependency makes the service unready within that time, and at most one check waits.
"""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as FutureTimeoutError
from typing import TYPE_CHECKING

from flask import Blueprint, Response, jsonify

from common.observability import logs, metrics
from common.security.auth import public
from common.web import problems

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

CHECK_SECONDS = 1.0
PATHS = frozenset({"/livez", "/readyz", "/metrics"})
_log = logs.logger(__name__)


class _Check:
    """A readiness check and its single thread."""

    def __init__(self, name: str, run: Callable[[], object]) -> None:
        self.name = name
        self._run = run
        self._executor = ThreadPoolExecutor(1, thread_name_prefix=f"ready-{name}")
        self._running: Future[object] | None = None

    def passes(self) -> bool:
        """Whether the check succeeded within its time-out; joins a call that is still waiting."""
        running = self._running
        if running is None or running.done():
            running = self._running = self._executor.submit(self._run)
        try:
            running.result(timeout=CHECK_SECONDS)
        except FutureTimeoutError:
            _log.warning("not ready", check=self.name, error=f"no answer in {CHECK_SECONDS} s")
        except Exception as error:  # noqa: BLE001 - whatever it is, it is a reason not to be ready
            _log.warning("not ready", check=self.name, error=f"{type(error).__name__}: {error}")
        else:
            return True
        return False


def make_blueprint(checks: Mapping[str, Callable[[], object]]) -> Blueprint:
    """The three routes; a check that raises or times out makes the service unready."""
    blueprint = Blueprint("health", __name__)
    ready_checks = [_Check(name, run) for name, run in checks.items()]

    @blueprint.get("/livez")
    @public
    def livez() -> Response:
        return jsonify(status="ok")

    @blueprint.get("/readyz")
    @public
    def readyz() -> Response:
        failed = [check.name for check in ready_checks if not check.passes()]
        if not failed:
            return jsonify(status="ok", checks=[check.name for check in ready_checks])
        errors = {name: ["does not answer"] for name in failed}
        detail = f"not ready: {', '.join(failed)}"
        return problems.problem(503, "not_ready", detail, errors=errors, headers={"Retry-After": "1"})

    @blueprint.get("/metrics")
    @public
    def show_metrics() -> Response:
        body, content_type = metrics.exposition()
        return Response(body, content_type=content_type)

    return blueprint
