"""`python -m benchmarks.profile`: which libraries the processor time of an order goes to, process by process.

Starts its own stack in .holdfast-bench-profile, and samples its Python processes with py-spy (`pip install py-spy`)
while orders are placed in a closed loop. A sample is the thread that holds the interpreter lock, and counts for
its innermost frame that is not of the standard library. The milliseconds are the whole process's, as the kernel counts
them, with py-spy attached: system calls without the lock are divided like the rest.
"""

from __future__ import annotations

import argparse
import re
import shutil
import signal
import subprocess
import tempfile
from collections import Counter
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.bench import Bench
from benchmarks.order_path import WARM_UP_ORDERS
from benchmarks.resources import processor_seconds
from benchmarks.throwaway_stack import throwaway_stack
from chaos_tests.runners.resources import process_groups

if TYPE_CHECKING:
    from collections.abc import Iterable

HOME = ".holdfast-bench-profile"
SAMPLES_PER_SECOND = 50
WRITE_SECONDS = 60.0
SHOWN_SHARE = 0.03
PROCESSES = (
    "service-orders",
    "relay-1",
    "relay-2",
    "worker-inventory",
    "worker-payments",
    "worker-orders",
    "worker-archive",
    "worker-mail",
    "sandbox",
)
OWN, STANDARD_LIBRARY = "Holdfast", "standard library"
# The driver is written in C: while it runs, the innermost frame is the one that calls it.
LIBRARIES = {
    "common/storage/postgresql.py": "psycopg2",
    "sqlalchemy": "SQLAlchemy",
    "pymongo": "PyMongo",
    "bson": "PyMongo",
    **dict.fromkeys(("celery", "kombu", "amqp", "vine", "billiard"), "Celery, kombu, py-amqp"),
    "pika": "pika",
    **dict.fromkeys(("stripe", "requests", "urllib3"), "stripe, requests, urllib3"),
    **dict.fromkeys(("flask", "werkzeug", "flask_smorest", "webargs"), "Flask, Werkzeug, flask-smorest"),
    "gunicorn": "gunicorn",
    "marshmallow": "marshmallow",
    "structlog": "structlog",
    "prometheus_client": "prometheus-client",
    "opentelemetry": "OpenTelemetry",
}
_FRAME = re.compile(r"\((?P<file>.+?)(:\d+)?\)$")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=20.0, help="duration of the load")
    parser.add_argument("--connections", type=int, default=16)
    parser.add_argument("--port-base", type=int, default=8650)
    parser.add_argument("--stacks", type=Path, help="keep what py-spy writes in this directory")
    arguments = parser.parse_args()
    if shutil.which("py-spy") is None:
        raise SystemExit("py-spy is missing: pip install py-spy")
    with ExitStack() as resources:
        directory = arguments.stacks or Path(resources.enter_context(tempfile.TemporaryDirectory()))
        stack = resources.enter_context(throwaway_stack(HOME, arguments.port_base))
        bench = Bench(stack, arguments)
        bench.load(bench.orders_url, requests=WARM_UP_ORDERS)
        bench.settle()
        roots = {name: pids[0] for name, pids in process_groups(stack).items() if name in PROCESSES}
        spies = [_spy(pid, directory / f"{name}.txt") for name, pid in roots.items()]
        before = processor_seconds(stack)
        orders = bench.load(bench.orders_url).answered
        bench.settle()
        spent = processor_seconds(stack)
        for each in spies:
            each.send_signal(signal.SIGINT)  # py-spy writes its output then
            each.wait(WRITE_SECONDS)
    for name in roots:
        lines = (directory / f"{name}.txt").read_text(encoding="utf-8").splitlines()
        _show(name, (spent[name] - before.get(name, 0.0)) / orders * 1000, shares(lines))


def _spy(pid: int, output: Path) -> subprocess.Popen[bytes]:
    """Sample a process and its children until SIGINT, or for an hour."""
    words = ["py-spy", "record", "--pid", str(pid), "--subprocesses", "--gil", "--full-filenames"]
    words += ["--format", "raw", "--rate", str(SAMPLES_PER_SECOND), "--duration", "3600", "--output", str(output)]
    return subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def shares(lines: Iterable[str]) -> dict[str, float]:
    """Each library's share of the samples; a line is `frame;frame;frame count`, the innermost frame last."""
    counts: Counter[str] = Counter()
    for line in lines:
        frames, _, count = line.rpartition(" ")
        counts[_library(frames.split(";"))] += int(count)
    total = counts.total()
    return {name: count / total for name, count in counts.most_common()}


def _library(frames: list[str]) -> str:
    for frame in reversed(frames):
        found = _FRAME.search(frame)
        path = found["file"] if found else ""
        for part, name in LIBRARIES.items():
            if path.endswith(part) or f"/site-packages/{part}/" in path:
                return name
        if "/site-packages/" in path:
            return path.partition("/site-packages/")[2].partition("/")[0]
        if re.search(r"/(common|services|workers|infrastructure|holdfast)/", path):
            return OWN
    return STANDARD_LIBRARY


def _show(process: str, milliseconds: float, shares: dict[str, float]) -> None:
    shown = [f"{name} {share * milliseconds:.2f}" for name, share in shares.items() if share >= SHOWN_SHARE]
    print(f"| {process} | {milliseconds:.2f} | {', '.join(shown)} |", flush=True)


if __name__ == "__main__":
    main()
