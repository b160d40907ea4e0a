"""`python -m benchmarks.observability`: what logs, metrics and spans cost an event, by leaving each out in turn.

One consumer handles the same event again and again with a handler that does nothing, so what is left is what surrounds
every handler. No server is needed. It counts the thread's own processor time and shows the median of the rounds; the
ways are measured in turn, so that a busy machine slows each of them alike.
"""

from __future__ import annotations

import argparse
import os
import secrets
import time
from contextlib import ExitStack, nullcontext, redirect_stdout
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

import structlog

from common.messaging import consumer as consumer_module
from common.messaging.consumer import Consumer
from common.messaging.consumer_pause import ConsumerPause
from common.messaging.events import Event, from_json, new_id, rfc3339, utc_now
from common.messaging.redelivery import Incoming, Redelivery
from common.observability import traceparent, tracing
from common.observability.logs import configure_logging, logger
from common.settings import ProcessSettings

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

EVENTS = 500
TYPE = "thing.happened.v1"
CLOSED_PORT = "http://127.0.0.1:9"  # spans are created and discarded
_log = logger(__name__)


class _Nothing:
    """A metric that counts nothing."""

    def labels(self, *_: str) -> _Nothing:
        return self

    def inc(self, _: float = 1) -> None:
        """Count nothing."""

    def observe(self, _: float) -> None:
        """Observe nothing."""

    def time(self) -> nullcontext[None]:
        return nullcontext()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=15)
    rounds = parser.parse_args().rounds
    body, unsampled = (_event(is_sampled=sampled).to_json() for sampled in (True, False))
    ways: Mapping[str, Callable[[], float]] = {
        "all, as without a collector": lambda: _measure(body),
        "without metrics": lambda: _measure(body, metrics=False),
        "without log context": lambda: _measure(body, context=False),
        "with one line at INFO": lambda: _measure(body, lines=1),
        "with spans that are recorded": lambda: _measure(body, ratio=1.0),
        "with a collector, of a trace that is not recorded": lambda: _measure(unsampled, ratio=0.0),
        "reading the event from its JSON": lambda: _time(lambda: from_json(body)),
    }
    found: dict[str, list[float]] = {name: [] for name in ways}
    with Path(os.devnull).open("w", encoding="utf-8") as nowhere:
        for _ in range(rounds):
            for name, measure in ways.items():
                with redirect_stdout(nowhere):
                    found[name].append(measure())
    print("| one event | processor time, us |\n|---|--:|")
    for name, microseconds in found.items():
        print(f"| {name} | {median(microseconds):.0f} |")


def _measure(
    body: str, *, metrics: bool = True, context: bool = True, lines: int = 0, ratio: float | None = None
) -> float:
    """The microseconds per event."""
    with ExitStack() as stack:
        if not metrics:
            for name in ("HANDLED", "SECONDS", "AGE"):
                stack.enter_context(patch.object(consumer_module, name, _Nothing()))
        if not context:
            stack.enter_context(patch.object(structlog.contextvars, "bound_contextvars", lambda **_: nullcontext()))
        configure_logging("benchmark")
        if ratio is not None:
            settings = ProcessSettings(otel_exporter_otlp_endpoint=CLOSED_PORT, otel_traces_sampler_arg=ratio)
            tracing.configure_tracing("benchmark", settings)
            stack.callback(tracing.shutdown)
        handled = _consumer(lines)
        event = from_json(body)
        return _time(lambda: handled.handle(event, Incoming(body, {})))


def _consumer(lines: int) -> Consumer[None]:
    def handler(_delivery: object, _resources: None) -> None:
        for _ in range(lines):
            _log.info("handled", order_id="an order's id")

    redelivery = Redelivery("amqp://guest:guest@127.0.0.1:9/", "test.events")  # it connects at the first use
    return Consumer(
        "benchmark", {TYPE: handler}, None, redelivery, retry_attempts=3, pause=ConsumerPause("benchmark", {})
    )


def _time(work: Callable[[], Any]) -> float:
    work()
    started = time.thread_time()
    for _ in range(EVENTS):
        work()
    return (time.thread_time() - started) / EVENTS * 1e6


def _event(*, is_sampled: bool) -> Event:
    return Event(
        id=new_id(),
        source="/services/test",
        type=TYPE,
        subject="thing-1",
        time=rfc3339(utc_now()),
        sequence=1,
        correlationid="request-1",
        traceparent=traceparent.make(secrets.token_hex(16), secrets.token_hex(8), sampled=is_sampled),
        data={"sequence": 1, "items": [{"sku": "TEA", "quantity": 2}] * 3},
    )


if __name__ == "__main__":
    main()
