"""Messages with unusual but valid AMQP properties are stored, and the worker keeps running."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from common.messaging import topology
from workers.operations.tests.worker_process import wait_until

if TYPE_CHECKING:
    from workers.operations.tests.worker_process import OperationsWorker

pytestmark = pytest.mark.integration
ODD: list[dict[str, Any]] = [
    {"timestamp": 2**62},
    {"timestamp": 2**64 - 1},
    {"headers": {"compression": "application/x-gzip", "content-type": "x"}},
    {
        "priority": 255,
        "expiration": "100000",
        "type": "x" * 255,
        "message_id": "\x00",
        "correlation_id": "\U0001f600",
    },
    {"content_type": "x" * 255, "content_encoding": "\x00"},
    {"headers": {"x-death": {"reason": 1}}},
    {"headers": {"x-death": [{"reason": 1, "queue": 2, "time": 3, "count": "many"}]}},
    {"headers": {"holdfast-queue": b"\xff", "holdfast-reason": "", "holdfast-letter": 7, "holdfast-failed-at": "soon"}},
    {"headers": {"holdfast-error": "e" * 100_000, "deep": [[[[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]]]}},
]


def test_messages_with_unusual_properties_are_stored(operations_worker: OperationsWorker) -> None:
    with operations_worker.worker() as process:
        for number, properties in enumerate(ODD):
            operations_worker.publish(topology.DEAD_LETTERS, f"message {number}".encode(), **properties)
        wait_until(lambda: len(operations_worker.letters()) >= len(ODD))
        wait_until(lambda: operations_worker.waiting(topology.DEAD_LETTERS) == 0)
        assert process.poll() is None
    assert {letter["body"] for letter in operations_worker.letters()} == {
        f"message {number}".encode() for number in range(len(ODD))
    }
