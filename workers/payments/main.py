"""The payments worker: `python -m workers.payments.main`."""

from __future__ import annotations

from dataclasses import dataclass

from common.celeryapp import run_worker
from common.metrics import serve_metrics
from common.settings import WorkerSettings, load
from common.telemetry import configure_logging
from services.payments.resources import ResourceSettings, open_resources
from workers.payments.consumers import HANDLERS


@dataclass(frozen=True, kw_only=True)
class Settings(WorkerSettings, ResourceSettings):
    """What the payments worker reads."""


def main() -> None:
    settings = load(Settings)
    configure_logging("worker-payments", settings.log_level)
    serve_metrics(settings.metrics_host, settings.metrics_port)
    resources = open_resources(settings, name="worker-payments", threads=settings.worker_threads)
    run_worker("payments", HANDLERS, resources, settings)


if __name__ == "__main__":
    main()
