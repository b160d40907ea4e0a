"""The Kafka bridge, with a Kafka (librdkafka's mock cluster) that fails and recovers.

A native stack has no Kafka: `attach` starts one in this process, and the bridge with its address; `detach` stops both.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from chaos_tests.actions.evidence import result, wait_until
from chaos_tests.actions.processes import start
from chaos_tests.proxy.kafka import MockKafka
from chaos_tests.runners.drivers.driver import driver_of, local
from infrastructure.local.spec import change_environments, read_specs

ADDRESS, BRIDGE = "KAFKA_BROKER_URL", "bridge"
THERE_SECONDS = 120.0
_CLUSTERS: dict[str, tuple[MockKafka, str]] = {}  # by gateway: of this process


def attach(configuration: dict[str, Any]) -> dict[str, Any]:
    """Start a Kafka, and the bridge with its address. Returns when the first events have arrived."""
    detach(configuration)
    driver = local(configuration)
    driver.journal.add(detach, {})
    kafka, began_at = MockKafka(), datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
    _CLUSTERS[driver.target().url] = kafka, began_at
    _start_bridge(configuration, kafka.address)

    def has_begun() -> bool:
        kafka.read()
        return bool(kafka.events)

    took = wait_until(has_begun, THERE_SECONDS, "the bridge publishes")
    return result(f"the bridge published after {took:.1f} s")


def refuse(configuration: dict[str, Any]) -> dict[str, Any]:
    """Disconnect the bridge from Kafka."""
    kafka, _ = _cluster(configuration)
    kafka.refuse()
    return result("Kafka's connections were cut, and new ones refused")


def accept(configuration: dict[str, Any]) -> dict[str, Any]:
    """Reconnect it to Kafka."""
    kafka, began_at = _cluster(configuration)
    kafka.read()
    waited = len(_archived(configuration, began_at) - kafka.events.keys())
    kafka.accept()
    return result(f"{waited} archived events were not in Kafka at its return", took_effect=waited > 0)


def compare(configuration: dict[str, Any]) -> dict[str, Any]:
    """Wait until each event archived since `attach` is in its topic, in order. Raises TimeoutError, `ValueError`.

    Duplicates are allowed. Call `detach` afterwards.
    """
    kafka, began_at = _cluster(configuration)
    archived = _archived(configuration, began_at)

    def is_all_there() -> bool:
        kafka.read()
        return archived <= kafka.events.keys()

    took = wait_until(is_all_there, THERE_SECONDS, f"{len(archived)} archived events are in Kafka")
    disordered = [key for key, line in kafka.sequences.items() if line != sorted(line)]
    twice = sum(count > 1 for count in kafka.events.values())
    detach(configuration)
    if disordered:
        message = f"the events of {disordered[:3]} are not in their order"
        raise ValueError(message)
    return result(f"all {len(archived)} archived events were in Kafka {took:.1f} s after it, {twice} of them repeated")


def detach(configuration: dict[str, Any]) -> dict[str, Any]:
    """Run the bridge without a Kafka, like the native stack; idempotent."""
    driver = local(configuration)
    if ADDRESS in read_specs(driver.stack.home.programs_file)[BRIDGE].environment:
        _start_bridge(configuration, None)
    if found := _CLUSTERS.pop(driver.target().url, None):
        found[0].stop()
    driver.journal.remove(detach, {})
    return result("the bridge ran without a Kafka")


def _start_bridge(configuration: dict[str, Any], address: str | None) -> None:
    driver = local(configuration)
    change_environments(driver.stack.home, {BRIDGE: {ADDRESS: address}})
    driver.stop(BRIDGE)
    start(BRIDGE, configuration)


def _cluster(configuration: dict[str, Any]) -> tuple[MockKafka, str]:
    """Raises `LookupError` if there is none."""
    url = driver_of(configuration).target().url
    if url not in _CLUSTERS:
        raise LookupError("there is no Kafka of this process")
    return _CLUSTERS[url]


def _archived(configuration: dict[str, Any], since: str) -> set[str]:
    events = driver_of(configuration).target().operator(patient=True).all("/api/v1/events", since=since)
    return {event["id"] for event in events}
