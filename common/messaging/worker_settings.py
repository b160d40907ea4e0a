"""The settings of every worker, checked at start like all settings (`common.settings`)."""

from __future__ import annotations

from dataclasses import dataclass

from common.setting_checks import between
from common.settings import BrokerSettings, MetricsSettings, ProcessSettings, setting

UNDECIDED_MAX_AGE_SECONDS = 86_400.0


@dataclass(frozen=True, kw_only=True)
class WorkerSettings(ProcessSettings, BrokerSettings, MetricsSettings):
    """What every Celery worker reads."""

    retry_attempts: int = setting(
        "RETRY_ATTEMPTS",
        "int",
        default=3,
        check=between(0, 20),
        meaning="Delayed retries of one event before it becomes a dead letter. (worker-operations retries for ever.)",
    )
    undecided_max_age_seconds: float = setting(
        "UNDECIDED_MAX_AGE_SECONDS",
        "float",
        default=UNDECIDED_MAX_AGE_SECONDS,
        check=between(1, 30 * 86_400),
        meaning="How long one event may wait for an external decision before it becomes a dead letter.",
    )
    worker_threads: int = setting(
        "WORKER_THREADS",
        "int",
        default=4,
        check=between(1, 64),
        meaning="Messages handled concurrently, with one database connection each.",
    )


@dataclass(frozen=True, kw_only=True)
class BatchWorkerSettings(WorkerSettings):
    """The settings of a Celery worker that can handle several events in one transaction."""

    event_batch_size: int = setting(
        "EVENT_BATCH_SIZE",
        "int",
        default=64,
        check=between(1, 256),
        meaning="Maximum number of waiting events handled together. 1: no batches.",
    )
