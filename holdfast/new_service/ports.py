"""Ports of the new processes: the first unused ones of the process table."""

from __future__ import annotations

from infrastructure.local.errors import StackError
from infrastructure.local.nodes import NODES
from infrastructure.local.ports import listening_offsets
from infrastructure.processes import PORTS_PER_STACK

_OF_SERVICES = (*range(7, 10), *range(19, 22), *range(33, PORTS_PER_STACK))
_OF_WORKERS = (*range(27, 30), *range(PORTS_PER_STACK - 1, 32, -1))


def free_offsets() -> tuple[int, int]:
    """Return the offsets of a service and of a worker. StackError if no port is free."""
    taken = set(listening_offsets(len(NODES)))
    service = next((offset for offset in _OF_SERVICES if offset not in taken), None)
    worker = next((offset for offset in _OF_WORKERS if offset not in taken | {service}), None)
    if service is None or worker is None:
        raise StackError("the ports of a stack are used up: raise PORTS_PER_STACK in infrastructure/processes.py")
    return service, worker
