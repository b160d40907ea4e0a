"""The faults of each dependency: injection and restoration."""

from __future__ import annotations

import signal
from dataclasses import dataclass
from typing import TYPE_CHECKING

from chaos_tests.runners.process_tree import process_tree, signal_all
from infrastructure.local.readiness import holds_within

if TYPE_CHECKING:
    from collections.abc import Callable

    from chaos_tests.runners.system import System

RUNNING_SECONDS = 60


@dataclass(frozen=True, slots=True)
class Fault:
    """`begin` injects, `restore` removes; both are idempotent."""

    dependency: str
    name: str
    begin: Callable[[System], None]
    restore: Callable[[System], None]


def _stop_tree(system: System, name: str, number: signal.Signals) -> None:
    signal_all(process_tree(system.stack.pid(name)), number)


def _wait_running(system: System, name: str) -> None:
    holds_within(lambda: system.stack.pid(name) is not None, RUNNING_SECONDS)


def _server(name: str) -> list[Fault]:
    def toxic(kind: str, **attributes: int) -> Callable[[System], None]:
        return lambda system: system.toxic(name, kind, "downstream", **attributes)

    def slow_both_ways(system: System) -> None:
        system.toxic(name, "latency", "upstream", latency=100, jitter=50)
        system.toxic(name, "latency", "downstream", latency=100, jitter=50)

    def restore(system: System) -> None:
        system.restore_proxies()

    return [
        Fault(name, "killed", lambda s: s.stack.kill(name), lambda s: _wait_running(s, name)),
        Fault(name, "stopped", lambda s: s.stack.stop(name), lambda s: s.stack.start(name)),
        Fault(name, "refused", lambda s: s.switch(name, enabled=False), restore),
        Fault(
            name,
            "hanging",
            lambda s: _stop_tree(s, name, signal.SIGSTOP),
            lambda s: _stop_tree(s, name, signal.SIGCONT),
        ),
        Fault(name, "black hole", toxic("timeout", timeout=0), restore),
        Fault(name, "slow, 200 ms", slow_both_ways, restore),
        Fault(name, "malformed response", toxic("garbage"), restore),
        Fault(name, "cut in the middle", toxic("limit_data", bytes=4_000), restore),
    ]


def _provider(kind: str, label: str, **values: object) -> Fault:
    return Fault(
        "sandbox", label, lambda s: s.sandbox_fault(kind=kind, rate=1.0, **values), lambda s: s.restore_sandbox()
    )


FAULTS: tuple[Fault, ...] = (
    *_server("postgres"),
    *_server("rabbitmq"),
    *_server("mongodb"),
    *_server("sandbox"),
    _provider("error", "answers 500"),
    _provider("rate_limit", "answers 429"),
    _provider("lost_answer", "charges, then loses its answer"),
    _provider("nonsense", "malformed 200 response"),
)
