"""`holdfast chaos malformed`: thousands of malformed messages while orders are placed.

They are published directly to the consumers' queues, without the publishers' checks. Every one must be in the
dead-letter store with its queue and bytes, no process may restart, every order accepted during the run must settle, and
the audit must be green. The table is docs/malformed-messages.md.
"""

from __future__ import annotations

import hashlib
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import pika
from rich.console import Console

from chaos_tests.malformed.kinds import KINDS, make, queue_for
from chaos_tests.runners.history import read
from chaos_tests.runners.programs import Results, command, table
from chaos_tests.runners.workload.process import Workload
from holdfast.commands.audit import audited
from holdfast.target import target_of
from infrastructure.local.readiness import holds_within

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from chaos_tests.runners.system import System
    from holdfast.client import Client
    from infrastructure.local.stack import Stack

ORDERS_PER_SECOND = 4
FILING_SECONDS, SETTLE_SECONDS = 900.0, 120.0
READERS = 8
HEAD = """# Malformed messages

Written by `holdfast chaos malformed --count {total}`. It publishes malformed messages of {kinds} kinds directly to the
consumers' queues while customers place orders, and looks up each one in the dead-letter store by queue and digest.

* filed: {filed} of {total}, within {seconds:.0f} s of the first message
* orders accepted at the same time: {accepted}, all of them settled
* processes restarted: {restarted}
* promises broken: {broken}

"""


@dataclass
class Outcome:
    """`sent` and `filed`: counts per kind; `errors`: the error of a dead letter per kind."""

    sent: dict[str, int] = field(default_factory=dict)
    filed: dict[str, int] = field(default_factory=dict)
    errors: dict[str, str] = field(default_factory=dict)
    filing_seconds: float = 0.0
    accepted: int = 0
    restarted: list[str] = field(default_factory=list)
    broken_promises: list[str] = field(default_factory=list)

    @property
    def passed(self) -> bool:
        return self.sent == self.filed and self.accepted > 0 and not self.restarted and not self.broken_promises


def flood(stack: Stack, count: int) -> Outcome:
    """Send `count` messages to the queues of a running stack, while orders are placed, and check their dead letters."""
    outcome, target = Outcome(), target_of(stack)
    history = Path(stack.home.path) / f"malformed-{uuid.uuid4().hex[:8]}.jsonl"
    before = _processes(stack)
    arguments = ["--home", str(stack.home.path), "--clients", "4", "--rate", str(ORDERS_PER_SECOND)]
    with Workload(history, [*arguments, "--seconds", str(FILING_SECONDS)]):
        started = time.monotonic()
        expected = _publish(stack.urls.rabbitmq, count, outcome)
        operator = target.operator()
        holds_within(lambda: _filed(operator) >= count, FILING_SECONDS, 1)
        outcome.filing_seconds = time.monotonic() - started
    outcome.accepted = len(
        {record["value"]["id"] for record in read(history) if (record.get("f"), record.get("type")) == ("place", "ok")}
    )
    outcome.restarted = sorted(name for name, pid in _processes(stack).items() if before.get(name) != pid)
    with ThreadPoolExecutor(READERS) as executor:
        clients = [target.operator() for _ in range(READERS)]
        letters = enumerate(target.operator().all("/api/v1/dead-letters"))
        for letter in executor.map(lambda known: _whole(clients[known[0] % READERS], known[1]), letters):
            kind = expected.pop((letter["queue"], letter["body"]["sha256"]), None)
            if kind is not None:
                outcome.filed[kind] = outcome.filed.get(kind, 0) + 1
                outcome.errors.setdefault(kind, f"{letter['reason']}: {letter['error']}")
    verdict = audited(target, SETTLE_SECONDS, Console(stderr=True, quiet=True))
    outcome.broken_promises = sorted({finding.promise for finding in verdict.findings})
    return outcome


def _publish(broker_url: str, count: int, outcome: Outcome) -> dict[tuple[str, str], str]:
    """Returns queue and digest of every sent message, with its kind."""
    connection = pika.BlockingConnection(pika.URLParameters(broker_url))
    channel = connection.channel()
    channel.confirm_delivery()
    sent: dict[tuple[str, str], str] = {}
    run, kinds = uuid.uuid4().hex[:8], list(KINDS)
    for number in range(count):
        kind = kinds[number % len(kinds)]
        body, properties = make(kind, run, number)
        queue = queue_for(kind, number // len(kinds))
        channel.basic_publish("", queue, body, pika.BasicProperties(delivery_mode=2, **properties), mandatory=True)
        sent[queue, hashlib.sha256(body).hexdigest()] = kind
        outcome.sent[kind] = outcome.sent.get(kind, 0) + 1
    connection.close()
    return sent


def _filed(operator: Client) -> int:
    return sum(each["count"] for each in operator.get("/api/v1/system")["dead_letters"] or [])


def _whole(client: Client, letter: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = client.get(f"/api/v1/dead-letters/{letter['id']}")
    return found


def _processes(stack: Stack) -> dict[str, int | None]:
    return {process["name"]: process["pid"] for process in stack.status()["processes"]}


def render(rows: Sequence[Outcome]) -> str:
    return "\n".join(map(_page, rows))


def _page(outcome: Outcome) -> str:
    total = sum(outcome.sent.values())
    head = HEAD.format(
        total=total,
        kinds=len(KINDS),
        filed=sum(outcome.filed.values()),
        seconds=outcome.filing_seconds,
        accepted=outcome.accepted,
        restarted=", ".join(outcome.restarted) or "none",
        broken=", ".join(outcome.broken_promises) or "none",
    )
    cells = [
        (kind, sent, outcome.filed.get(kind, 0), outcome.errors.get(kind, "")[:110])
        for kind, sent in outcome.sent.items()
    ]
    return head + table(("kind", "sent", "filed", "error of a dead letter"), cells)


RESULTS = Results("malformed", "malformed-messages", Outcome, lambda _: "", render)


@command(RESULTS, port_base=8800)
@click.option("--count", default=10_000, show_default=True, help="How many messages.")
def malformed(system: System, count: int) -> Iterator[Outcome]:
    """Publish thousands of malformed messages to the queues, and check that each is in the dead-letter store."""
    yield flood(system.stack, count)


if __name__ == "__main__":
    malformed()
