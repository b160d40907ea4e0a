"""The Celery settings of every worker; Celery's defaults lose or duplicate messages."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kombu import Queue

    from common.messaging.worker_settings import WorkerSettings


def celery_settings(context: str, queue: Queue, *, serializer: str, worker_consumer: str) -> dict[str, Any]:
    """The settings of a worker of `queue` that accepts only `serializer` and is run by the class `worker_consumer`."""
    return {
        "accept_content": [serializer],
        "task_serializer": serializer,
        "task_queues": [queue],
        "task_default_queue": queue.name,
        "task_create_missing_queues": False,
        # Strict late acks: after an exception, a lost child or a time-out the broker keeps the message.
        "task_acks_late": True,
        "task_acks_on_failure_or_timeout": False,
        "task_reject_on_worker_lost": True,
        # A killed worker adds a delivery to the count of every message that it holds: prefetch only as many as it can
        # handle.
        "worker_prefetch_multiplier": 1,
        "worker_detect_quorum_queues": True,
        "worker_enable_prefetch_count_reduction": False,
        "worker_cancel_long_running_tasks_on_connection_loss": False,
        "worker_consumer": worker_consumer,
        "worker_hijack_root_logger": False,
        "worker_redirect_stdouts": False,
        "worker_send_task_events": True,
        "worker_soft_shutdown_timeout": 10.0,
        "control_queue_exclusive": True,
        "event_queue_exclusive": True,
        "broker_heartbeat": 10,
        "broker_connection_timeout": 4,
        "broker_connection_retry_on_startup": True,
        "broker_connection_max_retries": None,
        # The broker may keep a broken connection for a while, and with it the exclusive queue for remote control.
        "broker_channel_error_retry": True,
        "broker_transport_options": {"client_properties": {"connection_name": f"{context} worker"}},
        "broker_pool_limit": 1,
        "enable_utc": True,
        "timezone": "UTC",
    }


def worker_options(context: str, settings: WorkerSettings) -> dict[str, Any]:
    """What `celery.Celery.Worker` is made with."""
    return {
        # The port distinguishes workers on one host: two of one name cannot both have the queue for remote control.
        "hostname": f"{context}@{socket.gethostname()}-{settings.metrics_port}",
        "pool_cls": "threads",
        "concurrency": settings.worker_threads,
        "without_gossip": True,
        "without_mingle": True,
        "loglevel": settings.log_level,
    }
