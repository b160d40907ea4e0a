"""The mail worker: `python -m workers.mail.main`. Customers get an e-mail when their order is confirmed or cancelled.

It has its own queue, so an unavailable mail server pauses nothing else. Any number of workers may run. Without
`SMTP_URL` it consumes its events and sends nothing, so that no old mails are sent when it is set later.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from threading import Semaphore
from typing import TYPE_CHECKING

from common.messaging.batch_handling import Batching
from common.messaging.celery_worker import run_worker
from common.messaging.worker_settings import BatchWorkerSettings
from common.observability.logs import configure_logging, logger
from common.observability.metrics import serve_metrics
from common.resilience.circuit_breaker import Breaker
from common.settings import MAX_FAILURES, DocumentSettings, load
from common.storage.mongodb import connect_by, ping
from workers.mail.batches import MAX_MAILS, MailBatches
from workers.mail.consumers import HANDLERS, Resources
from workers.mail.contacts import Contacts, ContactSettings
from workers.mail.mail_server import MailServer, MailSettings
from workers.mail.sent_mails import SentMails

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(frozen=True, kw_only=True)
class Settings(BatchWorkerSettings, DocumentSettings, MailSettings, ContactSettings):
    """The settings of the mail worker."""

    circuit_breaker_max_failures: int = MAX_FAILURES


def main() -> None:
    settings = load(Settings)
    configure_logging("worker-mail", settings.log_level)
    serve_metrics(settings.metrics_host, settings.metrics_port)
    if settings.smtp_url is None:
        logger(__name__).info("SMTP_URL is not set: events are consumed and no mail is sent")
        run_worker("mail", HANDLERS, None, settings, probes={}, batching=_batching(None, settings))
        return
    database = connect_by(settings, name="worker-mail", pool_size=settings.worker_threads + 1)  # one for the probe
    server = MailServer(settings, Breaker("mail_server", max_failures=settings.circuit_breaker_max_failures))
    contacts = Contacts(settings, Breaker("users", max_failures=settings.circuit_breaker_max_failures))
    # A batch begins no mail after one time-out, so its last mail is recorded before its lease ends as well.
    lease_seconds = 2 * settings.smtp_timeout_seconds + 15.0
    # Also while single events are handled beside a batch.
    in_hand = Semaphore(settings.worker_threads)
    resources = Resources(SentMails(database, lease_seconds=lease_seconds), contacts, server, in_hand)
    probes: dict[str, Callable[[], object]] = {
        "mongodb": partial(ping, database),
        "users": contacts.probe,
        "mail_server": server.probe,
    }
    batching = _batching(resources, settings)
    run_worker("mail", HANDLERS, resources, settings, probes=probes, on_shutdown=server.close, batching=batching)


def _batching(resources: Resources | None, settings: Settings) -> Batching:
    batches = MailBatches(resources, threads=settings.worker_threads, begin_seconds=settings.smtp_timeout_seconds)
    return Batching(batches.handle, min(settings.event_batch_size, MAX_MAILS))


if __name__ == "__main__":
    if not __package__:  # `python main.py` in this folder, not `python -m`
        from common.development import prepare
        from common.messaging import topology

        prepare(__file__, Settings, queues=[topology.events_queue("mail")])
    main()
