"""The processes of the plain chain, on a stack's servers, with their own database."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING

import pika
import psycopg2
from psycopg2.errors import DuplicateDatabase

from benchmarks.plain_chain import QUEUE, TABLES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from infrastructure.local.stack import Stack

DATABASE = "plain"
FRONT_THREADS = 16
START_SECONDS = 60
STOP_SECONDS = 20
OPEN = "SELECT (SELECT count(*) FROM plain_orders) - (SELECT count(*) FROM plain_steps WHERE step = 'sell')"


class PlainChain:
    """The baseline, on the servers of `stack`; its front listens on `port`."""

    def __init__(self, stack: Stack, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self._port = port
        self._broker_url = stack.urls.rabbitmq
        administrator = stack.urls.postgres_administrator.replace("+psycopg2", "")
        self._database_url = administrator.rpartition("/")[0] + f"/{DATABASE}"
        self._environment = os.environ | {
            "DATABASE_URL": self._database_url,
            "RABBITMQ_URL": self._broker_url,
            "MONGODB_URL": stack.urls.mongodb_administrator,
            "STRIPE_API_BASE": stack.urls.http("sandbox"),
        }
        _execute(administrator, f"CREATE DATABASE {DATABASE}", or_exists=True)
        _execute(self._database_url, TABLES)

    @contextmanager
    def front(self, app: str = "create_app") -> Iterator[None]:
        """The view, served by gunicorn."""
        words = ["--worker-class=gthread", f"--threads={FRONT_THREADS}", f"--bind=127.0.0.1:{self._port}"]
        words += ["--keep-alive=75", "--log-level=warning", "--no-control-socket"]
        with self._process("gunicorn", *words, f"benchmarks.plain_chain:{app}()", is_ready=self._listens):
            yield

    @contextmanager
    def worker(self, *, visible_work: bool = False) -> Iterator[None]:
        """The four tasks."""
        self._environment["PLAIN_VISIBLE_WORK"] = "1" if visible_work else "0"
        with self._process("benchmarks.plain_chain", is_ready=self._has_consumer):
            yield

    def is_done(self) -> bool:
        """Whether every order has passed all tasks."""
        with closing(psycopg2.connect(self._database_url)) as connection, connection.cursor() as cursor:
            cursor.execute(OPEN)
            return cursor.fetchall() == [(0,)]

    def clear(self) -> None:
        """Delete all orders; no process may be handling them."""
        _execute(self._database_url, "TRUNCATE plain_orders, plain_steps")
        with closing(pika.BlockingConnection(pika.URLParameters(self._broker_url))) as connection:
            channel = connection.channel()
            channel.queue_declare(QUEUE, durable=True)
            channel.queue_purge(QUEUE)

    @contextmanager
    def _process(self, module: str, *words: str, is_ready: Callable[[], bool]) -> Iterator[None]:
        process = subprocess.Popen([sys.executable, "-m", module, *words], env=self._environment)
        try:
            deadline = time.monotonic() + START_SECONDS
            while not is_ready():
                if process.poll() is not None or time.monotonic() > deadline:
                    raise SystemExit(f"{module} of the plain chain did not start")
                time.sleep(0.1)
            yield
        finally:
            process.terminate()
            try:
                process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def _listens(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self._port)) == 0

    def _has_consumer(self) -> bool:
        with closing(pika.BlockingConnection(pika.URLParameters(self._broker_url))) as connection:
            return bool(connection.channel().queue_declare(QUEUE, durable=True).method.consumer_count)


def _execute(url: str, statement: str, *, or_exists: bool = False) -> None:
    with closing(psycopg2.connect(url)) as connection:
        connection.autocommit = True
        with connection.cursor() as cursor:
            try:
                cursor.execute(statement)
            except DuplicateDatabase:
                if not or_exists:
                    raise
