"""Kafka for an experiment: librdkafka's mock cluster in this process, behind a proxy that can refuse connections.

It is not a real Kafka: one broker, in memory, without a disk, which drops the oldest messages of a partition above 5
MB.
"""

from __future__ import annotations

import asyncio
import json
import struct
import threading
from collections import Counter, defaultdict
from typing import Any

from confluent_kafka import Consumer, KafkaError, Producer, TopicPartition

from chaos_tests.proxy.links import Proxy

HOST = "127.0.0.1"
SECONDS = 60.0
UNORDERED = frozenset({"attempt.failed.v1"})  # its sequence numbers nothing


class MockKafka:
    """`address` is what a client gets; it lives until `stop`."""

    def __init__(self) -> None:
        self._client = Producer({"bootstrap.servers": "mock", "test.mock.num.brokers": 1})
        [broker] = self._client.list_topics(timeout=SECONDS).brokers.values()
        self._own = (HOST, broker.port)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._proxy = Proxy("kafka", f"{HOST}:0", f"{HOST}:{broker.port}", self._translate)
        self.accept()
        self._consumer = Consumer(
            {"bootstrap.servers": f"{HOST}:{broker.port}", "group.id": "chaos", "enable.partition.eof": True}
        )
        self._offsets: dict[tuple[str, int], int] = {}
        self.events = Counter[str]()  # by id, as far as read
        self.sequences: dict[tuple[str, str], list[int]] = defaultdict(list)  # by source and subject, each once

    @property
    def address(self) -> str:
        return self._proxy.listen

    def refuse(self) -> None:
        """Close its connections, and refuse new ones."""
        self._do(self._proxy.disable())

    def accept(self) -> None:
        self._do(self._proxy.enable())

    def read(self, topics_prefix: str = "holdfast.") -> None:
        """Read new messages, by the broker's own address."""
        for topic in self._consumer.list_topics(timeout=SECONDS).topics.values():
            if topic.topic.startswith(topics_prefix):
                for partition in topic.partitions:
                    self._read(topic.topic, partition)

    def stop(self) -> None:
        self.refuse()
        self._consumer.close()
        self._do(_end_tasks())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(SECONDS)
        self._loop.close()

    def _read(self, topic: str, partition: int) -> None:
        place = TopicPartition(topic, partition)
        first, end = self._consumer.get_watermark_offsets(place, timeout=SECONDS)
        place.offset = max(first, self._offsets.get((topic, partition), 0))
        if place.offset >= end:
            return
        self._consumer.assign([place])
        while place.offset < end:
            message = self._consumer.poll(SECONDS)
            if message is None:
                raise TimeoutError("the mock cluster does not answer")
            if error := message.error():
                if error.code() == KafkaError._PARTITION_EOF:  # noqa: SLF001 - its name
                    break
                raise OSError(str(error))
            self._take(json.loads(message.value() or b"{}"))
            place.offset = (message.offset() or 0) + 1
        self._offsets[topic, partition] = place.offset

    def _take(self, event: dict[str, Any]) -> None:
        self.events[event["id"]] += 1
        if event["type"] in UNORDERED:
            return
        line = self.sequences[event["source"], event["subject"]]
        if event["sequence"] not in line:
            line.append(event["sequence"])

    def _translate(self, reply: bytes) -> bytes:
        """Replace the broker's address in its replies with the proxy's port."""
        host, port = HOST.encode(), int(self._proxy.listen.rpartition(":")[2])
        return reply.replace(host + struct.pack(">i", self._own[1]), host + struct.pack(">i", port))

    def _do(self, work: Any) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(SECONDS)


async def _end_tasks() -> None:
    tasks = asyncio.all_tasks() - {asyncio.current_task()}
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
