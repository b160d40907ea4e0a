"""The topology job: `python -m workers.topology.main`, once, before anything publishes.

It declares every exchange, queue and binding, so that the queue of each consuming context exists before an event is
published. (The archive receives everything, so the broker would not return such an event as unroutable: it would be
lost.) It is idempotent, and finishes an interrupted run. It removes nothing: remove a binding without a handler by
hand.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from common.errors import Unavailable, classify
from common.messaging import topology
from common.observability.logs import configure_logging, logger
from common.settings import BrokerSettings, ProcessSettings, load
from services.notifications.subscriptions import ALWAYS_BOUND
from workers.archive import consumers as archive
from workers.inventory import consumers as inventory
from workers.mail import consumers as mail
from workers.orders import consumers as orders
from workers.payments import consumers as payments

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

WAIT_SECONDS = 60.0
PAUSE_SECONDS = 0.5
_log = logger(__name__)

# One line for each context that consumes.
BINDINGS: Mapping[str, Iterable[str]] = {
    "archive": archive.HANDLERS,
    "inventory": inventory.HANDLERS,
    "orders": orders.HANDLERS,
    # Its worker binds further types by the subscriptions.
    "notifications": ALWAYS_BOUND,
    "mail": mail.HANDLERS,
    "payments": payments.HANDLERS,
}


@dataclass(frozen=True, kw_only=True)
class Settings(ProcessSettings, BrokerSettings):
    """The settings of the topology job."""


def main() -> None:
    settings = load(Settings)
    configure_logging("topology", settings.log_level)
    declared = declare(settings.rabbitmq_url, wait_seconds=WAIT_SECONDS)
    for queue in declared:
        print(f"declared {queue}")  # noqa: T201 - what a person who runs the job wants to see
    for context, types in BINDINGS.items():
        print(f"{topology.events_queue(context)} receives {', '.join(sorted(types))}")  # noqa: T201 - likewise


def declare(broker_url: str, *, wait_seconds: float) -> list[str]:
    """Declare everything when the broker answers; returns the queues. Raises its error after a time-out."""
    deadline = time.monotonic() + wait_seconds
    while True:
        try:
            return topology.declare(broker_url, BINDINGS, settle_seconds=topology.SETTLE_SECONDS)
        except Exception as error:
            if classify(error) is not Unavailable or time.monotonic() + PAUSE_SECONDS > deadline:
                raise
            _log.info("waiting for the broker", error=repr(error))
        time.sleep(PAUSE_SECONDS)


if __name__ == "__main__":
    if not __package__:  # `python main.py` in this folder, not `python -m`
        from common.development import prepare

        prepare(__file__, Settings, queues=[])
    main()
