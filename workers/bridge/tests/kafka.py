"""Kafka for tests: librdkafka's mock cluster behind a proxy that cuts connections or uses TLS, and a topic reader."""

from __future__ import annotations

import socket
import struct
import threading
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from confluent_kafka import Consumer, Producer, TopicPartition

from common.tests.tcp_proxy import Link

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Iterator

_HOST = b"127.0.0.1"
SECONDS = 60.0


class MockCluster:
    """One broker in this process at the address `url`; it lives as long as its client."""

    def __init__(self) -> None:
        self._client = Producer({"bootstrap.servers": "mock", "test.mock.num.brokers": 1})
        [broker] = self._client.list_topics(timeout=60).brokers.values()
        self.url, self.port = f"127.0.0.1:{broker.port}", broker.port

    def read(self, topics: list[str]) -> dict[str, list[Any]]:
        """Every message by topic, in the order of its partition."""
        return {topic: self._messages(topic) for topic in topics}

    def _messages(self, topic: str) -> list[Any]:
        consumer = Consumer(
            {
                "bootstrap.servers": self.url,
                "group.id": "test",
                "enable.partition.eof": False,
                "auto.offset.reset": "earliest",
            }
        )
        found = []
        for partition in consumer.list_topics(topic, timeout=60).topics[topic].partitions:
            place = TopicPartition(topic, partition, 0)
            _low, high = consumer.get_watermark_offsets(place, timeout=60)
            consumer.assign([place])
            deadline = time.monotonic() + SECONDS
            count = 0
            while count < high:
                assert time.monotonic() < deadline
                message = consumer.poll(0.2)
                if message is not None and message.error() is None:
                    found.append(message)
                    count += 1
        consumer.close()
        return found


class KafkaLink(Link):
    """A proxy that replaces the broker's own address in its replies with the proxy's port."""

    def __init__(self, cluster: MockCluster) -> None:
        super().__init__(f"kafka://{cluster.url}")
        self.broker_url = f"127.0.0.1:{self._port}"
        self._names = (_HOST + struct.pack(">i", cluster.port), _HOST + struct.pack(">i", self._port))

    def translate(self, reply: bytes) -> bytes:
        return reply.replace(*self._names)


@contextmanager
def tls_listener(cluster: MockCluster, context: ssl.SSLContext) -> Iterator[str]:
    """The cluster's broker behind TLS, also in its own replies; yields HOST:PORT."""
    listener = socket.create_server((_HOST.decode(), 0))
    port = listener.getsockname()[1]
    names = _HOST + struct.pack(">i", cluster.port), _HOST + struct.pack(">i", port)

    def serve(raw: socket.socket) -> None:
        with suppress(OSError), context.wrap_socket(raw, server_side=True) as near:
            far = socket.create_connection((_HOST.decode(), cluster.port))
            back = threading.Thread(target=_copy, args=(far, near, lambda data: data.replace(*names)), daemon=True)
            back.start()
            _copy(near, far, lambda data: data)

    def accept() -> None:
        with suppress(OSError):
            while True:
                threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    with listener:
        yield f"{_HOST.decode()}:{port}"


def _copy(source: socket.socket, sink: socket.socket, change: Callable[[bytes], bytes]) -> None:
    with suppress(OSError), source:
        while data := source.recv(65536):
            sink.sendall(change(data))
    with suppress(OSError):
        sink.shutdown(socket.SHUT_RDWR)
