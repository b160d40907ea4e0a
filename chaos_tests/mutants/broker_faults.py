"""Scenarios in which the broker loses or rejects events."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import TYPE_CHECKING

import pika
import requests

from chaos_tests.matrix.run import Shopper
from chaos_tests.mutants.scenarios import API_SECONDS, BATCH_EVENTS, EVENTS, RELAYS, each_of, shopping, wait_until

if TYPE_CHECKING:
    from chaos_tests.runners.system import System

EVENT_BY_EVENT = {"average_size": 1_000, "size_variation": 0, "delay": 100_000}  # about the size of one event


def broker_swallows(system: System) -> set[str]:
    """The connections to the broker accept all bytes and deliver none, until they are cut."""
    return shopping(
        system,
        lambda: system.toxic("rabbitmq", "timeout", "upstream", timeout=0),
        system.restore_proxies,
    )


def broker_without_bindings(system: System) -> set[str]:
    """All queues reject events for a while. The relays are stopped while only some of them do."""
    api = f"{system.stack.urls.rabbitmq_management}/api"
    listed = requests.get(f"{api}/exchanges/%2F/{EVENTS}/bindings/source", timeout=API_SECONDS).json()

    def unbind() -> None:
        each_of(system.stack.stop, RELAYS)
        for binding in listed:
            path = f"bindings/%2F/e/{EVENTS}/q/{binding['destination']}/{binding['properties_key']}"
            requests.delete(f"{api}/{path}", timeout=API_SECONDS).raise_for_status()
        each_of(system.stack.start, RELAYS)
        wait_until(lambda: _a_relay_is_active(system), "no relay became active")

    def bind() -> None:
        each_of(system.stack.stop, RELAYS)
        for binding in listed:
            path = f"bindings/%2F/e/{EVENTS}/q/{binding['destination']}"
            body = {"routing_key": binding["routing_key"], "arguments": binding["arguments"]}
            requests.post(f"{api}/{path}", json=body, timeout=API_SECONDS).raise_for_status()
        each_of(system.stack.start, RELAYS)

    return shopping(system, unbind, bind)


def _a_relay_is_active(system: System) -> bool:
    urls = json.loads(system.stack.urls.metrics)
    pages = []
    for relay in RELAYS:
        with suppress(requests.RequestException):  # it is still starting
            pages.append(requests.get(urls[relay], timeout=API_SECONDS).text)
    return any('holdfast_relay_active{database="orders"} 1.0' in page for page in pages)


def cut_in_a_batch(system: System) -> set[str]:
    """The connections to the broker are cut while half of a batch is confirmed and the rest is in flight."""
    each_of(system.stack.stop, RELAYS)
    with Shopper(system.customer()) as shopper:
        wait_until(lambda: len(shopper.answers) >= BATCH_EVENTS, "few orders were taken")
    connection = pika.BlockingConnection(pika.URLParameters(system.stack.urls.rabbitmq))
    channel = connection.channel()
    queue = channel.queue_declare("", exclusive=True).method.queue
    channel.queue_bind(queue, EVENTS, "order.placed.v1")
    system.toxic("rabbitmq", "slicer", "upstream", **EVENT_BY_EVENT)
    each_of(system.stack.start, RELAYS)

    def arrived() -> int:
        return int(channel.queue_declare(queue, passive=True).method.message_count)

    wait_until(lambda: arrived() >= BATCH_EVENTS // 2, "no events arrived")
    system.switch("rabbitmq", enabled=False)
    system.restore_proxies()
    connection.close()
    return set()
