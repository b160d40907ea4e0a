"""Cases in which Celery's consumer would end a worker: malformed messages, headers, errors at start."""

from __future__ import annotations

import os
import subprocess
import sys
import time
import zlib
from typing import Any

import pika
import pytest
from celery import Celery

from common.messaging.events import CONTENT_TYPE
from common.tests.worker_process import QUEUE, SECONDS, World, sample, wait_until

pytestmark = pytest.mark.integration


_BOMB = zlib.compress(b" " * 50_000_000, 9)
POISON: dict[str, tuple[bytes, dict[str, Any]]] = {
    "random bytes": (os.urandom(64), {"content_type": CONTENT_TYPE}),
    "half JSON": (b'{"specversion": "1.0", "id"', {"content_type": CONTENT_TYPE}),
    "empty body": (b"", {"content_type": CONTENT_TYPE}),
    "a list": (b"[1, 2]", {"content_type": CONTENT_TYPE}),
    "Celery's own shape": (b"[[], {}, {}]", {"content_type": CONTENT_TYPE}),
    "null": (b"null", {"content_type": CONTENT_TYPE}),
    "no properties": (b"hello", {}),
    "pickle": (b"\x80\x04N.", {"content_type": "application/x-python-serialize"}),
    "plain JSON": (b"{}", {"content_type": "application/json", "headers": {"task": "holdfast.handle", "id": "1"}}),
    "not an event": (b'{"specversion": "1.0"}', {"content_type": CONTENT_TYPE}),
    "too large": (b'{"a": "' + b"x" * 300_000 + b'"}', {"content_type": CONTENT_TYPE}),
    "deep nesting": (b"[" * 100_000, {"content_type": CONTENT_TYPE}),
    "wrong encoding": (b"\xff\xfe{}", {"content_type": CONTENT_TYPE, "content_encoding": "no-such-codec"}),
    "compressed, it says": (b"{}", {"content_type": CONTENT_TYPE, "headers": {"compression": "application/x-gzip"}}),
    "a bomb, packed": (_BOMB, {"content_type": CONTENT_TYPE, "headers": {"compression": "application/x-gzip"}}),
    "Celery's first protocol": (b'{"task": "os.system", "id": "1", "args": []}', {"content_type": "application/json"}),
}


def test_poison_is_dead_lettered_and_the_worker_lives_on(world: World) -> None:
    with world.worker() as process:
        for body, properties in POISON.values():
            world.publish_raw(body, **properties)
        dead = sorted(world.dead_letter()[1] for _ in POISON)
        assert dead == sorted(body for body, _ in POISON.values())
        fine = world.publish(sample("sample.fine.v1"))
        wait_until(lambda: world.count("effects", fine) == 1)
        assert process.poll() is None


DIRECTIVES: dict[str, dict[str, Any]] = {
    "expires": {"expires": "2001-01-01T00:00:00+00:00"},
    "malformed expires": {"expires": "nonsense"},
    "eta": {"eta": "2099-01-01T00:00:00+00:00"},
    "retries": {"retries": "many"},
    "timelimit": {"timelimit": [1, 2]},
    "task": {"task": "os.system"},
    "id": {"id": None},
    "others": {
        "ignore_result": "yes", "chord": 1, "callbacks": ["x"], "args": [], "group": "g", "stamped_headers": 3,
    },
}  # fmt: skip


def test_directives_for_celery_in_foreign_headers_change_nothing(world: World) -> None:
    with world.worker() as process:
        sent = {name: world.publish(sample("sample.fine.v1"), **foreign) for name, foreign in DIRECTIVES.items()}
        for name, event_id in sent.items():
            wait_until(lambda: world.count("effects", event_id) == 1, what=name)  # noqa: B023 - called within the loop
        assert process.poll() is None


def test_remote_control_is_read_only(world: World) -> None:
    app = Celery("remote", broker=world.broker_url, set_as_current=False)
    app.conf.broker_connection_timeout = SECONDS
    remote = app.control
    with world.worker() as process:
        wait_until(lambda: world.has_consumer)
        for content_type in ("application/json", "application/x-python-serialize", CONTENT_TYPE, "text/plain"):
            properties = pika.BasicProperties(content_type=content_type, content_encoding="utf-8")
            world.channel.basic_publish("celery.pidbox", "", b"nonsense", properties)
        event = sample("sample.fine.v1")
        remote.revoke(event.id, terminate=True)
        remote.broadcast("hello", arguments={"from_node": "me", "revoked": {event.id: time.time()}})
        remote.cancel_consumer(QUEUE)
        remote.shutdown()
        wait_until(lambda: bool(remote.inspect(timeout=2).stats()))
        world.publish(event)
        wait_until(lambda: world.count("effects", event.id) == 1)
        assert process.poll() is None


BROKEN_WORKER = """
import logging

from celery import Celery

from common.messaging.celery_worker import start
from common.messaging.consumer_pause import ConsumerPause
from common.messaging.worker_settings import WorkerSettings
from common.settings import load


class BrokenRunner:
    def __init__(self, consumer):
        pass

    def watch(self, receive):
        raise RuntimeError("a bug")


logging.basicConfig()
settings = load(WorkerSettings)
app = Celery(broker=settings.rabbitmq_url, set_as_current=False)
app.conf.worker_consumer = "common.messaging.event_consumer:EventConsumer"
start(app, "broken", ConsumerPause("broken", {}, lambda: None), settings, runner=BrokenRunner)
"""


def test_a_worker_that_fails_ends_with_a_failure(world: World) -> None:
    """Its supervisor starts it again, and says so."""
    environment = os.environ | {"RABBITMQ_URL": world.broker_url}
    command = [sys.executable, "-c", BROKEN_WORKER]
    process = subprocess.run(command, env=environment, timeout=SECONDS, check=False, capture_output=True)
    assert b"a bug" in process.stdout + process.stderr
    assert process.returncode == 1
