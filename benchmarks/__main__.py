"""`python -m benchmarks`: compares Holdfast with its baselines, and writes docs/performance.md.

Starts its own stack in .holdfast-bench and deletes it at the end. `--only ROW` measures one row (repeat it for
several); `--quick` takes one short round. With `--keep` the stack stays, and the next run with `--keep` uses it.
"""

from __future__ import annotations

import argparse
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks import order_path, page
from benchmarks.bench import Bench
from benchmarks.rows import ROWS
from benchmarks.throwaway_stack import throwaway_stack
from infrastructure.local.stack import Stack
from infrastructure.local.termination import exit_on_sigterm

if TYPE_CHECKING:
    from collections.abc import Iterator

OUTPUT = Path(__file__).parents[1] / "docs" / "performance.md"
QUICK = {"rounds": 1, "seconds": 3.0}


def main() -> None:
    arguments = _arguments()
    exit_on_sigterm()
    rows = [row for row in ROWS if not arguments.only or row.key in arguments.only]
    with _stack(arguments) as stack:
        bench = Bench(stack, arguments)
        bench.settle()
        for row in rows:
            if row.before:
                bench.report(row.key)
                row.before(bench)
        if sides := {side for row in rows for side in row.sides}:
            order_path.measure(bench, sides)
        for row in rows:
            if row.measure:
                bench.report(row.key)
                row.measure(bench)
    when = time.strftime("%d %B %Y")
    origin = page.origin(page.command_line(sys.argv[1:]), when, arguments.connections)
    page.write(arguments.output, ROWS, bench.figures, origin)
    print(arguments.output)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    keys = [row.key for row in ROWS if row.reached]
    parser.add_argument("--only", action="append", choices=keys, metavar="ROW", help=", ".join(keys))
    parser.add_argument("--quick", action="store_true", help="one round of three seconds")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=8.0, help="duration of the load, for each side and round")
    parser.add_argument("--connections", type=int, default=16)
    parser.add_argument("--home", default=".holdfast-bench")
    parser.add_argument("--port-base", type=int, default=8400)
    parser.add_argument("--keep", action="store_true")
    parser.add_argument("--output", type=Path, default=OUTPUT)
    arguments = parser.parse_args()
    if arguments.quick:
        vars(arguments).update(QUICK)
    return arguments


@contextmanager
def _stack(arguments: argparse.Namespace) -> Iterator[Stack]:
    if not arguments.keep:
        with throwaway_stack(arguments.home, arguments.port_base) as stack:
            yield stack
        return
    stack = Stack(arguments.home, arguments.port_base)
    stack.up()
    yield stack


if __name__ == "__main__":
    main()
