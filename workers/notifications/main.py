"""The notifications worker: `python -m workers.notifications.main`.

It records deliveries of incoming events, sends due deliveries, and updates the queue's bindings to the subscriptions.
Any number of workers may run.
"""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial

from common.messaging.batch_handling import Batching
from common.messaging.celery_worker import run_worker
from common.messaging.worker_settings import BatchWorkerSettings
from common.observability.logs import configure_logging
from common.observability.metrics import serve_metrics
from common.setting_checks import between
from common.settings import MAX_FAILURES, DocumentSettings, load, setting
from common.storage.mongodb import connect_by, ping
from common.web.guarded_http import GuardedClient
from services.notifications.dispatching import Dispatcher
from services.notifications.settings import WebhookSettings, rules_of
from workers.notifications.consumers import HANDLERS, Resources, record_events
from workers.notifications.following import following
from workers.notifications.sending import sending

MAX_ANSWER_BYTES = 1024
SIDE_CONNECTIONS = 4  # two that poll for turns, one that measures, one that follows the subscriptions


@dataclass(frozen=True, kw_only=True)
class Settings(BatchWorkerSettings, DocumentSettings, WebhookSettings):
    """The settings of the notifications worker."""

    circuit_breaker_max_failures: int = MAX_FAILURES
    webhook_threads: int = setting(
        "WEBHOOK_THREADS",
        "int",
        default=16,
        check=between(2, 256),
        meaning="Webhooks sent concurrently; a quarter is reserved for endpoints that failed or were slow.",
    )
    webhook_timeout_seconds: float = setting(
        "WEBHOOK_TIMEOUT_SECONDS",
        "float",
        default=10.0,
        check=between(0.1, 30),
        meaning="Longest wait for the response of an endpoint.",
    )


def main() -> None:
    settings = load(Settings)
    configure_logging("worker-notifications", settings.log_level)
    serve_metrics(settings.metrics_host, settings.metrics_port)
    connections = settings.worker_threads + settings.webhook_threads + SIDE_CONNECTIONS
    database = connect_by(settings, name="worker-notifications", pool_size=connections)
    rules = rules_of(settings, max_failures=settings.circuit_breaker_max_failures)
    client = GuardedClient(rules.allowed, seconds=settings.webhook_timeout_seconds, max_answer_bytes=MAX_ANSWER_BYTES)
    with ExitStack() as beside:
        sender = beside.enter_context(sending(Dispatcher(database, client, rules), threads=settings.webhook_threads))
        end_following = beside.enter_context(following(database, settings.rabbitmq_url))

        def stop() -> None:
            sender.stop()
            end_following()

        probes = {"mongodb": partial(ping, database)}
        resources = Resources(database, sender.wake)
        batching = Batching(partial(record_events, resources), settings.event_batch_size)
        run_worker("notifications", HANDLERS, resources, settings, probes=probes, on_shutdown=stop, batching=batching)


if __name__ == "__main__":
    if not __package__:  # `python main.py` in this folder, not `python -m`
        from common.development import prepare
        from common.messaging import topology
        from services.notifications import migrations

        prepare(__file__, Settings, queues=[topology.events_queue("notifications")], migrations=migrations)
    main()
