"""A separate virtual host and database for one measurement, on a stack's servers."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import requests
from sqlalchemy import text

from common.storage.postgresql import autocommit, make_engine
from common.tests.outboxes import Outbox

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Engine

    from infrastructure.local.stack import Stack

NAME = "bench_scratch"
SECONDS = 10


@contextmanager
def virtual_host(stack: Stack) -> Iterator[str]:
    """The broker's address, with a new virtual host that is deleted at the end."""
    url = f"{stack.urls.rabbitmq_management.partition(';')[0]}/api/vhosts/{NAME}"
    requests.delete(url, timeout=SECONDS)
    requests.put(url, timeout=SECONDS).raise_for_status()
    try:
        yield f"{stack.urls.rabbitmq.partition(';')[0].rstrip('/')}/{NAME}"
    finally:
        requests.delete(url, timeout=SECONDS).raise_for_status()


@contextmanager
def outbox_database(stack: Stack) -> Iterator[Outbox]:
    """A new database with an outbox and leases, deleted at the end."""
    url = stack.urls.postgres_administrator
    administrator = make_engine(url, pool_size=1, timeout_seconds=SECONDS, name="bench")
    _execute(administrator, f"DROP DATABASE IF EXISTS {NAME} WITH (FORCE)")
    _execute(administrator, f"CREATE DATABASE {NAME}")
    box = Outbox(f"{url.rpartition('/')[0]}/{NAME}")
    try:
        yield box
    finally:
        box.close()
        _execute(administrator, f"DROP DATABASE {NAME} WITH (FORCE)")
        administrator.dispose()


def _execute(engine: Engine, statement: str) -> None:
    with autocommit(engine) as connection:
        connection.execute(text(statement))
