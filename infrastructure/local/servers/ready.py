"""The readiness checks of the servers, by process name."""

from collections.abc import Callable
from functools import partial

from infrastructure.local.credentials import Credentials
from infrastructure.local.home import Home
from infrastructure.local.nodes import NODES
from infrastructure.local.servers import mongodb, postgres, rabbitmq

READY: dict[str, Callable[[Home, Credentials], None]] = {
    "postgres": postgres.ready,
    "mongodb": mongodb.ready,
    **{node.name: partial(rabbitmq.ready, node=node) for node in NODES},
}
