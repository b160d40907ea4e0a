"""What Holdfast is compared with: the ordinary way to write it.

A Flask view inserts a row and calls Celery's `send_task`, with publisher confirms, to a durable quorum queue. A worker
takes the order through four tasks, each of which inserts a row and sends the next: as many steps as an order has here,
but without a payment provider, an inbox, an outbox or an archive. If a process dies between a row and its task, the
order stays where it is and nobody hears of it; the comparison is of speed only.

Served as the services are: `gunicorn -c python:common.web.gunicorn 'benchmarks.plain_view:create_app()'`; the worker is
`python -m benchmarks.plain_view`.
"""

from __future__ import annotations

import json
import os
import uuid
from typing import Any

from celery import Celery
from flask import Flask, request
from kombu import Exchange, Queue
from psycopg2.pool import ThreadedConnectionPool

QUEUE = "plain.orders"
THREADS = int(os.environ.get("SERVICE_THREADS", "8"))
STEPS = ("reserve", "charge", "confirm", "sell")
TABLES = """
CREATE TABLE IF NOT EXISTS plain_orders (id uuid PRIMARY KEY, body jsonb NOT NULL);
CREATE TABLE IF NOT EXISTS plain_steps (order_id uuid, step text, PRIMARY KEY (order_id, step))
"""


class _Database:
    def __init__(self) -> None:
        self._pool = ThreadedConnectionPool(1, THREADS, os.environ["DATABASE_URL"].replace("+psycopg2", ""))

    def execute(self, statement: str, values: tuple[str, ...] = ()) -> None:
        """One statement, one transaction."""
        connection = self._pool.getconn()
        try:
            with connection, connection.cursor() as cursor:
                cursor.execute(statement, values)
        finally:
            self._pool.putconn(connection)


def create_app() -> Flask:
    app, database, celery = Flask(__name__), _Database(), _celery()
    database.execute(TABLES)

    @app.post("/api/v1/orders")
    def place_order() -> tuple[dict[str, Any], int]:
        order_id = str(uuid.uuid4())
        database.execute("INSERT INTO plain_orders VALUES (%s, %s)", (order_id, json.dumps(request.get_json())))
        celery.send_task(STEPS[0], args=[order_id])
        return {"id": order_id, "status": "pending"}, 202

    return app


def create_worker() -> Celery:
    celery, database = _celery(), _Database()
    for step, following in zip(STEPS, (*STEPS[1:], None), strict=True):

        def run(order_id: str, *, step: str = step, following: str | None = following) -> None:
            database.execute("INSERT INTO plain_steps VALUES (%s, %s)", (order_id, step))
            if following:
                celery.send_task(following, args=[order_id])

        celery.task(name=step, acks_late=True)(run)
    return celery


def _celery() -> Celery:
    app = Celery("plain", broker=os.environ["RABBITMQ_URL"])
    queue = Queue(QUEUE, Exchange(QUEUE), routing_key=QUEUE, queue_arguments={"x-queue-type": "quorum"})
    app.conf.update(
        broker_transport_options={"confirm_publish": True},
        broker_pool_limit=THREADS,
        task_queues=[queue],
        task_default_queue=QUEUE,
        task_default_exchange=QUEUE,
        task_default_routing_key=QUEUE,
        task_ignore_result=True,
    )
    return app


if __name__ == "__main__":
    options = [
        "--loglevel=WARNING",
        "--pool=threads",
        f"--concurrency={THREADS}",
        "--without-gossip",
        "--without-mingle",
    ]
    create_worker().worker_main(["worker", *options])
