"""Scenarios and mutants of workers that handle events in batches."""

from __future__ import annotations

import time
from contextlib import suppress
from typing import TYPE_CHECKING

import requests

from chaos_tests.crashes.driving import BATCHES, publish_poison
from chaos_tests.matrix.run import Shopper
from chaos_tests.mutants.mutant import Mutant, Patch
from chaos_tests.mutants.scenarios import BATCH_EVENTS, PATIENCE_SECONDS, killed_at, wait_until
from holdfast.client import ApiError

if TYPE_CHECKING:
    from chaos_tests.runners.system import System

INVENTORY, ARCHIVE = "worker-inventory", "worker-archive"
SHOPPERS = 8
LETTERS = "/api/v1/dead-letters"


def killed_in_a_batch(system: System) -> set[str]:
    """The archive worker dies after it has begun a batch of events: several shoppers, so that it gets batches."""
    with system.changed({ARCHIVE: BATCHES}):
        return killed_at("batch.received:3", ARCHIVE, shoppers=SHOPPERS)(system)


def poisoned_batch(system: System) -> set[str]:
    """Events that inventory's handler rejects wait behind a backlog: only they must become dead letters."""
    with system.changed({INVENTORY: BATCHES}):
        system.stack.stop(INVENTORY)
        with Shopper(system.customer()) as shopper:
            wait_until(lambda: len(shopper.answers) >= BATCH_EVENTS // 2, "few orders were taken")
            poison = publish_poison(system.stack.urls.rabbitmq)
            wait_until(lambda: len(shopper.answers) >= BATCH_EVENTS, "few orders were taken")
        system.stack.start(INVENTORY)
        return set() if _are_discarded(system, set(poison)) else {"P5"}


def _are_discarded(system: System, event_ids: set[str]) -> bool:
    """Discard the scenario's own dead letters; returns whether all of them were found."""
    operator = system.target().operator()
    deadline = time.monotonic() + PATIENCE_SECONDS
    while event_ids and time.monotonic() < deadline:
        with suppress(ApiError, requests.RequestException):  # the backlog is still being handled
            for letter in operator.all(LETTERS, status="filed"):
                if letter["event_id"] in event_ids:
                    operator.post(f"{LETTERS}/{letter['id']}/discard", {"reason": "made by a scenario"})
                    event_ids.discard(letter["event_id"])
        time.sleep(0.5)
    return not event_ids


BATCH_MUTANTS = (
    Mutant(
        "batch-ack-before-commit",
        "acknowledging a batch after it has taken effect",
        killed_in_a_batch,
        (ARCHIVE,),
        (
            Patch(
                "common.messaging.batch_runner",
                "arguments = (requests, self._acknowledger)",
                "arguments = (requests, self._acknowledger)\n"
                "        self._acknowledger.acknowledge([request.message for request in requests])",
            ),
        ),
    ),
    Mutant(
        "failure-takes-its-batch",
        "handling alone each event of a batch that failed",
        poisoned_batch,
        (INVENTORY,),
        (
            Patch(
                "common.messaging.consumer",
                'crash_point("batch.failed")\n            return None',
                'return ["dead"] * len(events)',
            ),
        ),
    ),
)
