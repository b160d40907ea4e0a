"""`python -m benchmarks.server`: the cost of buffering requests so that no thread waits for a client.

Serves the sample service with gunicorn's threaded worker as it is and with ours, in turn, and loads each with `wrk`
(Debian's package). Prints the medians of the rounds and their ratio. Needs nothing else.
"""

from __future__ import annotations

import argparse
import re
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from common.tests.served import COMMAND, Server

WORKERS = {"gthread": ("--worker-class", "gthread"), "ours": ()}
# Without any work of an app, and with the work of a minimal unsafe request.
PROBE = ("/livez", "")
POST = (
    "/things",
    """wrk.method, wrk.body = "POST", '{"name": "a", "count": 3}'; wrk.headers["Content-Type"] = "application/json" """,
)
REQUESTS = {"GET /livez": PROBE, "POST /things": POST}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=4)
    parser.add_argument("--connections", type=int, default=16)
    arguments = parser.parse_args()
    figures: dict[tuple[str, str], list[float]] = {}
    for number in range(arguments.rounds):
        print(f"round {number + 1}", file=sys.stderr)
        for worker, words in WORKERS.items():
            for request, rate in measured(words, arguments).items():
                figures.setdefault((request, worker), []).append(rate)
    for request in REQUESTS:
        plain, ours = (statistics.median(figures[request, worker]) for worker in WORKERS)
        print(f"{request:14} gthread {plain:7.0f}/s   ours {ours:7.0f}/s   ratio {ours / plain:.2f}")


def measured(words: tuple[str, ...], arguments: argparse.Namespace) -> dict[str, float]:
    """The requests per second of a new server, for each kind of request."""
    server = Server([*COMMAND, *words], SERVICE_THREADS="8", LOG_LEVEL="WARNING")
    try:
        return {request: load(server, path, script, arguments) for request, (path, script) in REQUESTS.items()}
    finally:
        server.stop()


def load(server: Server, path: str, script: str, arguments: argparse.Namespace) -> float:
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as file:
        Path(file.name).write_text(script, encoding="utf-8")
        words = ["wrk", "-t1", f"-c{arguments.connections}", f"-d{arguments.seconds}", "-s", file.name]
        url = f"http://127.0.0.1:{server.port}{path}"
        output = subprocess.run([*words, url], capture_output=True, text=True, check=True).stdout
    if "Non-2xx" in output or "Socket errors" in output:
        raise SystemExit(f"{url}: {output}")
    found = re.search(r"Requests/sec:\s+([0-9.]+)", output)
    assert found, output
    return float(found[1])


if __name__ == "__main__":
    main()
