"""What Holdfast is compared with: the ordinary way to write it.

A Flask view inserts a row and calls Celery's `send_task`, with publisher confirms, to a durable quorum queue. If the
process dies between the two, the order is there and nobody hears of it; the comparison is of speed only.
Served as the services are: `gunicorn -c python:common.server 'benchmarks.plain_view:create_app()'`.
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
TABLE = "CREATE TABLE IF NOT EXISTS plain_orders (id uuid PRIMARY KEY, body jsonb NOT NULL)"


def create_app() -> Flask:
    app = Flask(__name__)
    pool = ThreadedConnectionPool(1, THREADS, os.environ["DATABASE_URL"].replace("+psycopg2", ""))
    celery = _celery()
    _prepare(pool)

    @app.post("/api/v1/orders")
    def place_order() -> tuple[dict[str, Any], int]:
        order_id = str(uuid.uuid4())
        connection = pool.getconn()
        try:
            with connection, connection.cursor() as cursor:
                cursor.execute("INSERT INTO plain_orders VALUES (%s, %s)", (order_id, json.dumps(request.get_json())))
        finally:
            pool.putconn(connection)
        celery.send_task("orders.placed", args=[order_id, request.get_json()])
        return {"id": order_id, "status": "pending"}, 202

    return app


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


def _prepare(pool: ThreadedConnectionPool) -> None:
    connection = pool.getconn()
    with connection, connection.cursor() as cursor:
        cursor.execute(TABLE)
    pool.putconn(connection)
