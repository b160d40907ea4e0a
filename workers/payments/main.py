"""The payments worker: `python -m workers.payments.main`."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from common.messaging.celery_worker import run_worker
from common.messaging.worker_settings import WorkerSettings
from common.observability.logs import configure_logging
from common.observability.metrics import serve_metrics
from common.settings import load
from common.storage.postgresql import ping
from services.payments.resources import ResourceSettings, open_resources
from workers.payments.consumers import HANDLERS

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(frozen=True, kw_only=True)
class Settings(WorkerSettings, ResourceSettings):
    """What the payments worker reads."""


def main() -> None:
    settings = load(Settings)
    configure_logging("worker-payments", settings.log_level)
    serve_metrics(settings.metrics_host, settings.metrics_port)
    resources = open_resources(settings, name="worker-payments", threads=settings.worker_threads)
    probes: dict[str, Callable[[], object]] = {
        "postgres": partial(ping, resources.engine),
        "payment_provider": resources.provider.probe,
    }
    run_worker("payments", HANDLERS, resources, settings, probes=probes)


if __name__ == "__main__":
    if not __package__:  # `python main.py` in this folder, not `python -m`
        from common.development import prepare
        from common.messaging import topology

        prepare(__file__, Settings, queues=[topology.events_queue("payments")])
    main()
