"""`python -m benchmarks.nodes`: confirmed orders per second with three RabbitMQ nodes against one.

Starts a stack of its own for each, one after the other, in .holdfast-bench-nodes. All processes and nodes share this
machine, so the third and second copy of every message cost what other processes need.
"""

from __future__ import annotations

import argparse
import statistics
import sys

from benchmarks.throwaway_stack import throwaway_stack
from holdfast.bench.orders import measure
from holdfast.target import target_of

HOME = ".holdfast-bench-nodes"
CONNECTIONS, MAX_ORDERS, WARM_UP_SECONDS, SECONDS = 16, 100_000, 3.0, 8.0


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.nodes", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--port-base", type=int, default=8400)
    arguments = parser.parse_args()
    medians = {nodes: _confirmed_per_second(nodes, arguments) for nodes in (1, 3)}
    print(f"three nodes over one: {medians[3] / medians[1]:.2f}")


def _confirmed_per_second(nodes: int, arguments: argparse.Namespace) -> float:
    rates = []
    with throwaway_stack(HOME, arguments.port_base, rabbitmq_nodes=nodes) as stack:
        target = target_of(stack)
        for seconds in (WARM_UP_SECONDS, *[SECONDS] * arguments.rounds):
            measured = measure(
                target, connections=CONNECTIONS, seconds=seconds, requests=MAX_ORDERS, progress=lambda _: None
            )
            rates.append(measured.confirmed_per_second)
            print(f"{nodes} node(s): {rates[-1]:.1f} orders/s confirmed", file=sys.stderr, flush=True)
    del rates[0]  # the warm-up
    median = statistics.median(rates)
    print(f"{nodes} node(s): {median:.1f} orders/s ({min(rates):.1f} to {max(rates):.1f})")
    return median


if __name__ == "__main__":
    main()
