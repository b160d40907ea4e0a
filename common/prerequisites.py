"""Checks the prerequisites of a process: one sentence for each missing one, with a remedy.

For processes started by hand (common/development.py). Each wait is bounded by `SECONDS`. `passwords` is the remedy for
a wrong one.
"""

from __future__ import annotations

import socket
from contextlib import closing
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from psycopg2.errors import QueryCanceled
from pymongo.errors import PyMongoError
from sqlalchemy.exc import DBAPIError

from common.messaging import topology
from common.storage import document_migrations
from common.storage import migrations as relational_migrations
from common.storage.mongodb import connect, ping
from common.storage.postgresql import StalledError, make_engine

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from common.storage.document_migrations import Migrations

SECONDS = 10.0
UP, COMPOSE = "`holdfast up --servers-only`", "docker compose -f compose.yaml -f compose.dev.yaml up"
START = f"start the servers with {UP} (or `{COMPOSE} -d postgres rabbitmq mongodb`)"
_PORTS = {"postgresql": 5432, "postgresql+psycopg2": 5432, "mongodb": 27017, "amqp": 5672, "amqps": 5671}
_WEB_PORTS = {"http": 80, "https": 443}


def relational(context: str, url: str, *, passwords: str) -> Iterator[str]:
    """PostgreSQL answers, accepts the role, and the context's database is up to date."""
    if unanswered := _unanswered("PostgreSQL", url, START):
        yield unanswered
        return
    engine = make_engine(url, pool_size=1, timeout_seconds=SECONDS, name="prerequisites")
    try:
        if missing := relational_migrations.missing(context, engine):
            remedy = _prepare(f"migrate-{context}")
            yield f"The database of {context} lacks the migrations {', '.join(missing)}: {remedy}."
    except DBAPIError as error:
        if isinstance(error.orig, StalledError | QueryCanceled):
            yield _too_slow("PostgreSQL", url, START)
        else:
            yield _refused("PostgreSQL", url, str(error.orig), passwords)
    finally:
        engine.dispose()


def documents(context: str, url: str, migrations: Migrations | None, *, passwords: str) -> Iterator[str]:
    """MongoDB answers, accepts the account, and has the collections and indexes of the context, if it owns any."""
    if unanswered := _unanswered("MongoDB", url, START):
        yield unanswered
        return
    database = connect(url, timeout_seconds=SECONDS, name="prerequisites", pool_size=1)
    try:
        ping(database)
        if migrations is not None and (missing := document_migrations.missing(migrations, database)):
            yield f"The database of {context} lacks {', '.join(missing)}: {_prepare(f'{context}-indexes')}."
    except PyMongoError as error:
        if error.timeout:
            yield _too_slow("MongoDB", url, START, str(error).partition(", Timeout: ")[0])
        else:
            yield _refused("MongoDB", url, (getattr(error, "details", None) or {}).get("errmsg", str(error)), passwords)
    finally:
        database.client.close()


def broker(urls: str, queues: Sequence[str], *, passwords: str) -> Iterator[str]:
    """The broker's first node answers, accepts the account, and has the queues."""
    url = urls.partition(";")[0]
    if unanswered := _unanswered("RabbitMQ", url, START):
        yield unanswered
        return
    try:
        if missing := topology.missing(url, queues, timeout_seconds=SECONDS):
            yield f"RabbitMQ lacks the queue {', '.join(missing)}: {_prepare('topology')}."
    except TimeoutError:
        yield _too_slow("RabbitMQ", url, START)
    except topology.REFUSALS as error:
        yield _refused("RabbitMQ", url, str(error), passwords)


def provider(url: str) -> Iterator[str]:
    """The payment provider answers."""
    remedy = "`holdfast up --servers-only` starts a sandbox; STRIPE_API_BASE sets another address"
    if unanswered := _unanswered("The payment provider", url, remedy):
        yield unanswered


def free_port(variable: str, port: int) -> Iterator[str]:
    """The local port is free."""
    with closing(socket.socket()) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            yield f"Port {port} is in use: stop the process that uses it, or set {variable}."


def _prepare(job: str) -> str:
    return f"{UP} creates what is missing (or `{COMPOSE} {job}`)"


def _unanswered(server: str, url: str, remedy: str) -> str:
    """Empty if the port is open, or if DNS names the hosts (mongodb+srv)."""
    scheme, _, rest = url.partition("://")
    host = urlsplit(f"//{rest.partition('/')[0].rpartition('@')[2].partition(',')[0]}")
    port = host.port or (_PORTS | _WEB_PORTS).get(scheme)
    if port is None:
        return ""
    try:
        socket.create_connection((host.hostname or "", port), SECONDS).close()
    except OSError as error:
        return f"{server} does not answer at {host.hostname}:{port} ({error.strerror or error}): {remedy}."
    return ""


def _too_slow(server: str, url: str, remedy: str, reason: str = "") -> str:
    why = f" ({reason})" if reason else ""
    return f"{server} does not answer at {urlsplit(url).hostname} within {SECONDS:g} seconds{why}: {remedy}."


def _refused(server: str, url: str, reason: str, passwords: str) -> str:
    last = reason.strip().splitlines()[-1].rstrip(".")
    return f"{server} rejects the login of `{urlsplit(url).username}` ({last}): {passwords}."
