"""A process started by hand without a requirement names it and the command to run, and exits.

(`development.py` and `prerequisites.py`, through the commands.)
"""

from __future__ import annotations

import json
import re
import shutil
import socket
from typing import TYPE_CHECKING

import pytest

from common import prerequisites
from infrastructure.database_roles import RELAY, RUNTIME

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.by_hand.starting import Started

    Start = Callable[..., Started]

JWKS = {"JWKS_URL": "http://127.0.0.1:1/"}
NOWHERE = {
    "DATABASE_URL": "postgresql://orders:x@127.0.0.1:1/orders",
    "MONGODB_URL": "mongodb://archive:x@127.0.0.1:1/archive?authSource=admin",
    "RABBITMQ_URL": "amqp://orders:x@127.0.0.1:1/",
}


def sentences(started: Started, *, code: int = 1) -> list[str]:
    """The messages of an exited process; fails if it printed anything else."""
    ended, output = started.ends()
    assert ended == code, output
    assert "Traceback" not in output
    return output.splitlines()


@pytest.mark.slow
def test_missing_settings_are_named_with_the_fix(by_hand: Start) -> None:
    orders, worker, relay = (by_hand(folder) for folder in ("services/orders", "workers/orders", "workers/relay"))
    for started, variable, name in (
        (orders, "DATABASE_URL", "orders"),
        (worker, "DATABASE_URL", "worker-orders"),
        (relay, "OUTBOX_DATABASE_URLS", "relay"),
    ):
        *bad, hint = sentences(started, code=2)
        assert any(line.startswith(f"bad setting {variable}: ") for line in bad)
        assert f"`holdfast env {name} --write`" in hint


@pytest.mark.slow
def test_missing_servers_are_named_with_the_start_command(by_hand: Start) -> None:
    folders = ("services/orders", "services/archive", "workers/orders")
    started = [by_hand(folder, **NOWHERE, **JWKS) for folder in folders]
    for process, servers in zip(started, (1, 1, 2), strict=True):
        lines = sentences(process)
        assert len(lines) == servers
        for line in lines:
            assert "127.0.0.1:1 (Connection refused): start the servers with `holdfast up --servers-only`" in line


def test_a_server_that_accepts_connections_and_hangs_does_not_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prerequisites, "SECONDS", 1.0)
    with socket.create_server(("127.0.0.1", 0)) as hung:
        place = f"orders:x@127.0.0.1:{hung.getsockname()[1]}/orders"
        found = [
            *prerequisites.relational("orders", f"postgresql://{place}", passwords="set it"),
            *prerequisites.documents("archive", f"mongodb://{place}", None, passwords="set it"),
            *prerequisites.broker(f"amqp://{place}", ["orders.events"], passwords="set it"),
        ]
    for server, sentence in zip(("PostgreSQL", "MongoDB", "RabbitMQ"), found, strict=True):
        assert sentence.startswith(f"{server} does not answer at 127.0.0.1 within 1 seconds")
        assert "start the servers with `holdfast up --servers-only`" in sentence


@pytest.mark.slow
def test_a_copied_example_lacks_only_passwords(by_hand: Start, tree: Path) -> None:
    folders = ("services/orders", "services/archive", "workers/orders", "workers/relay")
    for folder in folders:
        shutil.copy(tree / folder / ".env.example", tree / folder / ".env")
    for started in [by_hand(folder) for folder in folders]:
        # Which of them is missing depends on the servers at this machine's default ports.
        for line in sentences(started):
            assert re.search("does not answer at 127|rejects the login|Port 80.. is in use", line)


@pytest.mark.integration
def test_a_wrong_password_is_named(
    by_hand: Start, database: Callable[[], str], vhost: str, document_store: str
) -> None:
    def spoilt(url: str) -> str:
        scheme, _, rest = url.partition("://")
        return f"{scheme}://{rest.partition(':')[0]}:wrong@{rest.partition('@')[2]}"

    wrong = {"DATABASE_URL": spoilt(database()), "RABBITMQ_URL": spoilt(vhost), "MONGODB_URL": spoilt(document_store)}
    worker, archive = by_hand("workers/orders", **wrong), by_hand("services/archive", **wrong, **JWKS)
    for started, servers in ((worker, ("PostgreSQL", "RabbitMQ")), (archive, ("MongoDB",))):
        lines = sentences(started)
        assert [line.partition(" ")[0] for line in lines] == sorted(servers)
        assert all(
            "rejects the login of `" in line and "holdfast env " in line and "wrong" not in line for line in lines
        )


@pytest.mark.integration
def test_missing_migrations_and_queues_are_named(
    by_hand: Start, database: Callable[[], str], vhost: str, document_store: str
) -> None:
    url = database()
    given = {"DATABASE_URL": url, "RABBITMQ_URL": vhost, "MONGODB_URL": document_store, **JWKS}
    databases = json.dumps(dict.fromkeys(("users", "orders"), url))
    service, archive, worker, relay = (
        by_hand("services/orders", **given),
        by_hand("services/archive", **given),
        by_hand("workers/orders", **given),
        by_hand("workers/relay", **given, OUTBOX_DATABASE_URLS=databases),
    )
    up = "`holdfast up --servers-only` creates what is missing"
    tables = rf"The database of orders lacks the migrations 0001, .*: {up} .* up migrate-orders`\)\."
    queue = rf"RabbitMQ lacks the queue orders\.events: {up} .* up topology`\)\."
    indexes = rf"The database of archive lacks events: {up} .* up archive-indexes`\)\."
    assert re.fullmatch(tables, "".join(sentences(service)))
    assert re.fullmatch(indexes, "".join(sentences(archive)))
    assert re.fullmatch(f"{tables}\n{queue}", "\n".join(sorted(sentences(worker), reverse=True)))
    assert len(sentences(relay)) == 3


@pytest.mark.integration
def test_prepared_servers_are_sufficient_for_the_processes_roles(
    by_hand: Start, context_database: Callable[[str], Callable[[str], str]], vhost: str
) -> None:
    url = context_database("orders")
    assert by_hand("workers/topology", RABBITMQ_URL=vhost).ends()[0] == 0
    with socket.create_server(("127.0.0.1", 0)) as taken:  # they would start if their ports were free
        port = str(taken.getsockname()[1])
        given = {"DATABASE_URL": url(RUNTIME), "RABBITMQ_URL": vhost, **JWKS}
        given |= {"SERVICE_PORT": port, "METRICS_PORT": port}
        relayed = json.dumps({"orders": url(RELAY)})
        started = {
            "SERVICE_PORT": by_hand("services/orders", **given),
            "METRICS_PORT": by_hand("workers/orders", **given),
        }
        relay = by_hand("workers/relay", **given, OUTBOX_DATABASE_URLS=relayed)
        for name, process in [*started.items(), ("METRICS_PORT", relay)]:
            assert sentences(process) == [f"Port {port} is in use: stop the process that uses it, or set {name}."]
