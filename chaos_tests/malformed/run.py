"""`python -m chaos_tests.malformed.run`: thousands of messages that nobody can understand, beside orders that go on.

They go straight into the consumers' queues, past the publishers' own checks. Every one must be found in the dead-letter
store under its queue with the bytes that were sent, no process may have been restarted, every order that was accepted
meanwhile must settle, and the audit must be green. The table goes to docs/malformed-messages.md.
"""

from __future__ import annotations

import argparse
import hashlib
import sys
import time
import uuid
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pika
from rich.console import Console

from chaos_tests.malformed.kinds import KINDS, make, queue_for
from chaos_tests.runners.history import read
from chaos_tests.runners.workload.process import Workload
from holdfast.commands.audit import audited
from holdfast.target import target_of
from infrastructure.local.ending import end_in_good_order
from infrastructure.local.stack import Stack

if TYPE_CHECKING:
    from collections.abc import Iterator

    from holdfast.client import Client

HOME, PORT_BASE = ".holdfast-malformed", 8800
DOCUMENT = Path("docs/malformed-messages.md")
ORDERS_PER_SECOND = 4
FILING_SECONDS, SETTLE_SECONDS = 900.0, 120.0
READERS = 8


@dataclass
class Outcome:
    """`sent` and `filed`: how many of each kind; `errors`: what a letter of the kind says."""

    sent: Counter[str] = field(default_factory=Counter)
    filed: Counter[str] = field(default_factory=Counter)
    errors: dict[str, str] = field(default_factory=dict)
    filing_seconds: float = 0.0
    accepted: int = 0
    restarted: list[str] = field(default_factory=list)
    broken_promises: list[str] = field(default_factory=list)

    @property
    def passed(self) -> bool:
        return self.sent == self.filed and self.accepted > 0 and not self.restarted and not self.broken_promises


def flood(stack: Stack, count: int) -> Outcome:
    """Send `count` messages into the queues of a running stack, while orders are placed, and look for them."""
    outcome, target = Outcome(), target_of(stack)
    history = Path(stack.home.path) / f"malformed-{uuid.uuid4().hex[:8]}.jsonl"
    before = _processes(stack)
    arguments = ["--home", str(stack.home.path), "--clients", "4", "--rate", str(ORDERS_PER_SECOND)]
    with Workload(history, [*arguments, "--seconds", str(FILING_SECONDS)]):
        started = time.monotonic()
        expected = _publish(stack.urls.rabbitmq, count, outcome)
        _wait_until_filed(target.operator(), count, started + FILING_SECONDS)
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
                outcome.filed[kind] += 1
                outcome.errors.setdefault(kind, f"{letter['reason']}: {letter['error']}")
    verdict = audited(target, SETTLE_SECONDS, Console(stderr=True, quiet=True))
    outcome.broken_promises = sorted({finding.promise for finding in verdict.findings})
    return outcome


def _publish(broker_url: str, count: int, outcome: Outcome) -> dict[tuple[str, str], str]:
    """Answers queue and digest of all that was sent, with its kind."""
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
        outcome.sent[kind] += 1
    connection.close()
    return sent


def _wait_until_filed(operator: Client, count: int, deadline: float) -> None:
    while time.monotonic() < deadline:
        letters = operator.get("/api/v1/system")["dead_letters"] or []
        if sum(each["count"] for each in letters) >= count:
            return
        time.sleep(1)


def _whole(client: Client, letter: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = client.get(f"/api/v1/dead-letters/{letter['id']}")
    return found


def _processes(stack: Stack) -> dict[str, int | None]:
    return {process["name"]: process["pid"] for process in stack.status()["processes"]}


def write(outcome: Outcome) -> None:
    total = sum(outcome.sent.values())
    lines = [
        "# Messages that nobody understands",
        "",
        f"Written by `python -m chaos_tests.malformed.run --count {total}`: so many messages of {len(KINDS)} kinds",
        "went straight into the consumers' queues, while customers went on ordering. Each was looked up in the",
        "dead-letter store by its queue and the digest of its bytes.",
        "",
        f"* filed: {sum(outcome.filed.values())} of {total}, {outcome.filing_seconds:.0f} s after the first was sent",
        f"* orders accepted meanwhile: {outcome.accepted}, all of them settled",
        f"* processes restarted: {', '.join(outcome.restarted) or 'none'}",
        f"* promises broken: {', '.join(outcome.broken_promises) or 'none'}",
        "",
        "| kind | sent | filed | what one of its letters says |",
        "|---|---|---|---|",
    ]
    for kind, sent in outcome.sent.items():
        error = outcome.errors.get(kind, "").replace("|", "\\|").replace("\n", " ")[:110]
        lines.append(f"| {kind} | {sent} | {outcome.filed[kind]} | {error} |")
    DOCUMENT.write_text("\n".join(lines) + "\n")


@contextmanager
def _stack(home: str, port_base: int) -> Iterator[Stack]:
    stack = Stack(home, port_base)
    try:
        stack.up()
        yield stack
    finally:
        stack.down()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--home", default=HOME)
    parser.add_argument("--port-base", type=int, default=PORT_BASE)
    wanted = parser.parse_args()
    end_in_good_order()
    with _stack(wanted.home, wanted.port_base) as stack:
        outcome = flood(stack, wanted.count)
    write(outcome)
    print(DOCUMENT.read_text())
    sys.exit(0 if outcome.passed else 1)


if __name__ == "__main__":
    main()
