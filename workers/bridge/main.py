"""The Kafka bridge: `python -m workers.bridge.main`. Without `KAFKA_BROKER_URL` it idles."""

from __future__ import annotations

import signal
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING

from confluent_kafka import KafkaException
from marshmallow import validate

from common.observability import logs
from common.observability.metrics import serve_metrics
from common.setting_checks import between
from common.settings import DocumentSettings, LogSettings, MetricsSettings, load, refuse, setting
from common.storage.mongodb import connect_by
from workers.bridge.kafka_settings import KafkaSettings, client_options, problem_of, problems
from workers.bridge.loop import Bridge
from workers.bridge.producer import OrderedProducer
from workers.bridge.storage import Archive, Positions

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(frozen=True, kw_only=True)
class Settings(LogSettings, MetricsSettings, DocumentSettings, KafkaSettings):
    """The settings of the bridge. `MONGODB_URL` is the archive's database, as the account that reads its events."""

    kafka_topic_prefix: str = setting(
        "KAFKA_TOPIC_PREFIX",
        default="holdfast",
        check=validate.Regexp(r"^[A-Za-z0-9._-]{1,100}$", error="expected letters, digits, dots, dashes"),
        meaning="Prefix of the topics: PREFIX.orders, PREFIX.payments ...",
    )
    bridge_database: str = setting(
        "BRIDGE_DATABASE",
        default="bridge",
        meaning="MongoDB database of the bridge's own position, on the same server.",
    )
    bridge_gap_seconds: float = setting(
        "BRIDGE_GAP_SECONDS",
        "float",
        default=30.0,
        check=between(0.05, 86_400),
        meaning="How long an event waits for its predecessor of the same subject before it is sent without it.",
    )


def on_signal(stop: Callable[[], None]) -> None:
    for each in (signal.SIGTERM, signal.SIGINT):
        signal.signal(each, lambda *_: stop())


def make_producer(settings: Settings) -> OrderedProducer:
    """The producer. Inconsistent settings, or ones that Kafka's client rejects, stop the process with their names."""
    if found := problems(settings):
        refuse(found)
    try:
        return OrderedProducer(settings.kafka_broker_url or "", client_options(settings))
    except KafkaException as error:
        if found := problem_of(str(error)):
            refuse(found)
        raise


def main(settings: Settings | None = None) -> None:
    settings = settings or load(Settings)
    logs.configure_logging("bridge", settings.log_level)
    serve_metrics(settings.metrics_host, settings.metrics_port)
    if settings.kafka_broker_url is None:
        stopped = threading.Event()
        on_signal(stopped.set)
        logs.logger(__name__).info("KAFKA_BROKER_URL is not set: the bridge is off")
        while not stopped.wait(1.0):
            pass
        return
    producer = make_producer(settings)
    archive = connect_by(settings, name="bridge", pool_size=1)
    own = archive.client.get_database(settings.bridge_database)
    bridge = Bridge(
        Archive(archive),
        Positions(own),
        producer,
        prefix=settings.kafka_topic_prefix,
        gap_seconds=settings.bridge_gap_seconds,
    )
    on_signal(bridge.stop)
    bridge.run()


if __name__ == "__main__":
    if not __package__:  # `python main.py` in this folder, not `python -m`
        from common.development import prepare

        main(prepare(__file__, Settings))
    else:
        main()
