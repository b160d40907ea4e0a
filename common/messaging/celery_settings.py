"""What every worker of ours sets in Celery, whose own defaults lose messages, or repeat them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kombu import Queue


def celery_settings(context: str, queue: Queue, *, serializer: str, worker_consumer: str) -> dict[str, Any]:
    """For one worker of `queue` that accepts nothing but `serializer` and is run by the class `worker_consumer`."""
    return {
        "accept_content": [serializer],
        "task_serializer": serializer,
        "task_queues": [queue],
        "task_default_queue": queue.name,
        "task_create_missing_queues": False,
        # Late acks that mean it: a raise, a lost child and a time-out all leave the message with the broker.
        "task_acks_late": True,
        "task_acks_on_failure_or_timeout": False,
        "task_reject_on_worker_lost": True,
        # A killed worker charges a delivery to every message it holds: hold no more than can be worked on.
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
        "broker_transport_options": {"client_properties": {"connection_name": f"{context} worker"}},
        "broker_pool_limit": 1,
        "enable_utc": True,
        "timezone": "UTC",
    }
