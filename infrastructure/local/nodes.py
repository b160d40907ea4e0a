"""The broker's nodes of a native stack: one, or three that form a cluster.

The process table has one line `rabbitmq`, because elsewhere a cluster has one address. Here each node is a separate
process; the first one has the table's name and ports, so a stack of one node is unchanged.
"""

from dataclasses import dataclass

from infrastructure.local.control import CONTROL
from infrastructure.processes import (
    PROCESSES,
    RABBITMQ_DISTRIBUTION_PORT_OFFSET,
    RABBITMQ_MANAGEMENT_PORT_OFFSET,
    RABBITMQ_PROMETHEUS_PORT_OFFSET,
    Phase,
    Process,
    port_of,
)

# Two are worse than one: there is no majority without either of them.
COUNTS = (1, 3)


@dataclass(frozen=True, slots=True)
class Node:
    """One node: its process, its Erlang name, and its ports, as offsets from the stack's first."""

    name: str
    erlang_name: str
    port: int
    management_port: int
    distribution_port: int
    prometheus_port: int


NODES = (
    Node(
        "rabbitmq",
        # The node finds its data by this name, even if the host name changes.
        "holdfast@localhost",
        port_of("rabbitmq", 0),
        RABBITMQ_MANAGEMENT_PORT_OFFSET,
        RABBITMQ_DISTRIBUTION_PORT_OFFSET,
        RABBITMQ_PROMETHEUS_PORT_OFFSET,
    ),
    Node("rabbitmq-2", "holdfast-2@localhost", 33, 34, 35, 19),
    Node("rabbitmq-3", "holdfast-3@localhost", 36, 37, 38, 20),
)


def processes(node_count: int) -> tuple[Process, ...]:
    """The process table of a native stack with that many nodes."""
    more = [Process(node.name, Phase.SERVERS, port_offset=node.port) for node in NODES[1:node_count]]
    return tuple(sorted((*PROCESSES, CONTROL, *more), key=lambda line: line.phase))
