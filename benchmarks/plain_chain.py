"""The baseline of the comparison: a plain Celery chain, tuned for speed.

A Flask view inserts a row and sends a Celery task, with publisher confirms, to a durable classic queue. A threaded
worker takes the order through four tasks, each of which inserts a row and sends the next: as many steps as an order has
in Holdfast. Each thread keeps one PostgreSQL connection (autocommit) and one producer. With PLAIN_VISIBLE_WORK=1 the
chain also does what a user sees of Holdfast: two calls to the payment provider, and a MongoDB document for each event.

It is unsafe in every form: a process that dies between a row and its task leaves the order where it is, and a task that
is delivered twice fails. The comparison is of speed only.

Server: `gunicorn 'benchmarks.plain_chain:create_app()'`. Worker: `python -m benchmarks.plain_chain`.
"""

from __future__ import annotations

import json
import os
import threading
import uuid
from typing import TYPE_CHECKING, Any

import psycopg2
from celery import Celery
from flask import Flask, request
from kombu import Exchange, Queue

from benchmarks.visible_work import VisibleWork

if TYPE_CHECKING:
    from collections.abc import Callable

QUEUE = "plain.orders"
THREADS = 8
PREFETCH = 8  # messages for each thread: the worker never waits for the broker
STEPS = ("reserve", "charge", "confirm", "sell")
TABLES = """
CREATE TABLE IF NOT EXISTS plain_orders (id uuid PRIMARY KEY, body jsonb NOT NULL);
CREATE TABLE IF NOT EXISTS plain_steps (order_id uuid, step text, PRIMARY KEY (order_id, step))
"""
PLACE = "INSERT INTO plain_orders VALUES (%s, %s)"
WRITE_STEP = "INSERT INTO plain_steps VALUES (%s, %s)"


class Connections(threading.local):
    """A database cursor and a producer for each thread, opened once and reused."""

    def __init__(self, celery: Celery | None = None) -> None:
        connection = psycopg2.connect(os.environ["DATABASE_URL"])
        connection.autocommit = True
        self._cursor = connection.cursor()
        self._celery = celery
        self._producer = celery.amqp.Producer(celery.connection_for_write()) if celery else None

    def execute(self, statement: str, values: tuple[str, ...] = ()) -> None:
        """One statement, one transaction, one round trip."""
        self._cursor.execute(statement, values)

    def send(self, task: str, order_id: str) -> None:
        """Return when the broker has confirmed the message."""
        if self._celery:
            self._celery.send_task(task, args=[order_id], producer=self._producer)


def create_app() -> Flask:
    return _view(Connections(_celery()))


def create_bare_app() -> Flask:
    """The same view without the task: Flask and one SQL statement."""
    return _view(Connections())


def _view(connections: Connections) -> Flask:
    app = Flask(__name__)

    @app.post("/api/v1/orders")
    def place_order() -> tuple[dict[str, Any], int]:
        order_id = str(uuid.uuid4())
        connections.execute(PLACE, (order_id, json.dumps(request.get_json())))
        connections.send(STEPS[0], order_id)
        return {"id": order_id, "status": "pending"}, 202

    return app


def create_worker() -> Celery:
    celery = _celery()
    connections = Connections(celery)
    also = VisibleWork().do if os.environ.get("PLAIN_VISIBLE_WORK") == "1" else _nothing
    for step, following in zip(STEPS, (*STEPS[1:], None), strict=True):
        celery.task(name=step)(_task(connections, step, following, also))
    return celery


def _task(
    connections: Connections, step: str, following: str | None, also: Callable[[str, str], None]
) -> Callable[[str], None]:
    def run(order_id: str) -> None:
        also(step, order_id)
        connections.execute(WRITE_STEP, (order_id, step))
        if following:
            connections.send(following, order_id)

    return run


def _nothing(_step: str, _order_id: str) -> None:
    pass


def _celery() -> Celery:
    app = Celery("plain", broker=os.environ["RABBITMQ_URL"], set_as_current=False)
    app.conf.update(
        broker_transport_options={"confirm_publish": True},
        task_queues=[Queue(QUEUE, Exchange(QUEUE), routing_key=QUEUE, durable=True)],
        task_default_queue=QUEUE,
        task_default_exchange=QUEUE,
        task_default_routing_key=QUEUE,
        task_ignore_result=True,
        worker_prefetch_multiplier=PREFETCH,
        worker_send_task_events=False,
    )
    return app


if __name__ == "__main__":
    options = ["--loglevel=WARNING", "--pool=threads", f"--concurrency={THREADS}"]
    create_worker().worker_main(
        ["--quiet", "worker", *options, "--without-gossip", "--without-mingle", "--without-heartbeat"]
    )
