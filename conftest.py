"""Fixtures on real servers, for every test of the tree.

`servers` are PostgreSQL, RabbitMQ and MongoDB in the home `.holdfast-test`, started when a test first
asks for them and stopped by the last session that uses them; pytest-xdist's processes and several
sessions share them. HOLDFAST_TEST_HOME names a stack that runs already, to be used instead.
`stack` is the whole system in `.holdfast-e2e`, for tests marked e2e.
What a test gets (a database, a vhost, a document store) is its own, empty, and gone afterwards.
"""

from __future__ import annotations

import gc
import os
import re
import secrets
import sys
import time
from contextlib import closing, contextmanager
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING
from zlib import crc32

import pika
import psycopg2
import psycopg2.errors
import pytest
import structlog
from hypothesis import HealthCheck, settings
from psycopg2 import sql
from pymongo import MongoClient

from infrastructure.database_roles import OWNER, role_name, role_names
from infrastructure.local.readiness import request_here
from infrastructure.local.sharing import Servers, servers_of, shared_stack
from infrastructure.local.stack import Stack
from infrastructure.provision import grants, postgres

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from common.storage.document_migrations import Migrations

_ROOT = Path(__file__).parent
_MANAGEMENT_SECONDS = 60  # a virtual host takes a second, and many times that while both processors are busy
# A test that connects to the broker beside busy processors is not impatient (pika's defaults are 10 and 15 s).
for _default in ("DEFAULT_SOCKET_TIMEOUT", "DEFAULT_STACK_TIMEOUT"):
    setattr(pika.connection.Parameters, _default, 60)
# How fast examples are made, or run, is the machine's affair. They are the same in each run, so that a change is judged
# and not chance; `pytest --hypothesis-profile=random` looks for others.
settings.register_profile("random", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("same", settings.get_profile("random"), derandomize=True)
settings.load_profile("same")
_UUID = r"(?i)[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"


def pytest_make_parametrize_id(val: object) -> str | None:
    """Name a test without the ids that its parameters were given at random: every process must find the same tests."""
    return re.sub(_UUID, "uuid", val) if isinstance(val, str) and re.search(_UUID, val) else None


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leave a file unread if `-m` selects none of its tests: importing all takes as long as running many."""
    if not collection_path.match("test_*.py"):
        return None
    source = collection_path.read_text(encoding="utf-8")
    if re.fullmatch(r"\w+( or \w+)*", config.option.markexpr):
        return not re.search(rf"mark\.({config.option.markexpr.replace(' or ', '|')})\b", source) or None
    if re.fullmatch(r"not \w+( and not \w+)*", config.option.markexpr):
        excluded = config.option.markexpr.removeprefix("not ").split(" and not ")
        return bool(set(excluded) & set(re.findall(r"mark\.(\w+)", _marks_of_all(source)))) or None
    return None


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Iterator[None]:
    """Collect no garbage among what lives until the end anyway: imported modules and tests."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What takes long comes first, so that no process is left with it alone at the end.

    pytest-xdist deals out pieces of the list. Packages are mixed, so that in each piece some wait while others compute.
    The tests of one stay together: what they share for a session is made by one or two of the processes, not by all.
    """
    mixed = "PYTEST_XDIST_WORKER" in os.environ
    items.sort(
        key=lambda item: (
            item.get_closest_marker("slow") is None,
            mixed and crc32(bytes(item.path.parent.relative_to(_ROOT))),
        )
    )


@pytest.fixture(autouse=True)
def _no_log_context() -> None:
    """A request binds its ids to its thread; the next test must not inherit those of the last."""
    structlog.contextvars.clear_contextvars()


@pytest.fixture(autouse=True)
def _documented_replies() -> Iterator[None]:
    """Whatever a service replies in a test is in its OpenAPI document."""
    if "common.web.app_factory" not in sys.modules:
        yield
        return
    from common.tests.documented_replies import watch  # noqa: PLC0415 - most tests have no service

    with watch() as undocumented:
        yield
    assert undocumented == []


@pytest.fixture(scope="session")
def servers() -> Iterator[Servers]:
    """Real PostgreSQL, RabbitMQ and MongoDB."""
    chosen = os.environ.get("HOLDFAST_TEST_HOME")
    if chosen:
        yield servers_of(Stack(chosen))
        return
    with shared_stack(_ROOT / ".holdfast-test", servers_only=True) as running:
        yield servers_of(running)


@pytest.fixture(scope="session")
def stack() -> Iterator[Stack]:
    """The whole system, up and ready."""
    with shared_stack(_ROOT / ".holdfast-e2e", servers_only=False) as running:
        yield running


@pytest.fixture
def database(servers: Servers) -> Iterator[Callable[[], str]]:
    """Return a function that makes a fresh, empty PostgreSQL database and answers its URL."""
    with _databases(servers) as create:
        yield lambda: _url_of(servers, create("template1"))


@pytest.fixture
def migrated_database(servers: Servers, _templates: Callable[[str], str]) -> Iterator[Callable[[str], str]]:
    """Return a function that makes a context's database as its migrations leave it, and answers its URL."""
    with _databases(servers) as create:
        yield lambda context: _url_of(servers, create(_templates(context)))


@pytest.fixture(scope="session")
def _templates(servers: Servers) -> Iterator[Callable[[str], str]]:
    """Return a function that answers the name of a context's migrated database, to be copied.

    Each is migrated once: migrations take longer than most tests, and several times as long as a copy.
    """
    from common.storage.migrations import upgrade  # noqa: PLC0415 - most sessions do without

    with _databases(servers) as create:

        @cache
        def template(context: str) -> str:
            name = create("template1")
            upgrade(context, _url_of(servers, name))
            return name

        yield template


@pytest.fixture(scope="module")
def context_database(servers: Servers) -> Iterator[Callable[[str], Callable[[str], str]]]:
    """Return a function that makes a context's database, migrated, and answers its URL for each role's part."""
    made: list[str] = []

    def make(context: str) -> Callable[[str], str]:
        from common.storage.migrations import upgrade  # noqa: PLC0415 - most sessions do without

        name = f"test_{secrets.token_hex(8)}"
        passwords = {role: secrets.token_hex(8) for role in role_names(name)}
        made.append(name)
        postgres.provision_database(servers.postgres_admin_url, name, passwords)
        place = servers.postgres_admin_url.rpartition("@")[2].rpartition("/")[0]

        def url(part: str) -> str:
            role = role_name(name, part)
            return f"postgresql+psycopg2://{role}:{passwords[role]}@{place}/{name}"

        upgrade(context, url(OWNER))
        with closing(postgres.connect(url(OWNER))) as connection:
            connection.autocommit = False
            grants.grant(connection, context)
        return url

    yield make
    for name in made:
        _administer(servers, sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))
        for role in role_names(name):
            _administer(servers, sql.SQL("DROP ROLE IF EXISTS {}").format(sql.Identifier(role)))


@pytest.fixture
def vhost(servers: Servers) -> Iterator[str]:
    """The URL of a fresh, empty virtual host of the broker."""
    name = f"test-{secrets.token_hex(8)}"
    host = f"{servers.rabbitmq_management_url}/api/vhosts/{name}"
    request_here("PUT", host, _MANAGEMENT_SECONDS).raise_for_status()
    yield servers.rabbitmq_url + name
    request_here("DELETE", host, _MANAGEMENT_SECONDS).raise_for_status()


@pytest.fixture
def document_store(servers: Servers) -> Iterator[str]:
    """The URL of a fresh, empty MongoDB database."""
    name = f"test_{secrets.token_hex(8)}"
    url = servers.mongodb_url.replace("/archive?", f"/{name}?")
    yield url
    with MongoClient[dict[str, object]](url) as client:
        client.drop_database(name)


@pytest.fixture(scope="session")
def _migrated_stores(servers: Servers) -> Iterator[Callable[[Migrations], str]]:
    """Return a function that answers the URL of a context's migrated MongoDB database."""
    from common.storage.document_migrations import upgrade  # noqa: PLC0415 - most sessions do without

    made: dict[int, str] = {}

    def store(migrations: Migrations) -> str:
        if id(migrations) not in made:
            name = f"test_{secrets.token_hex(8)}"
            made[id(migrations)] = url = servers.mongodb_url.replace("/archive?", f"/{name}?")
            with MongoClient[dict[str, object]](url) as client:
                upgrade(migrations, client[name], wait_seconds=_MANAGEMENT_SECONDS)
        return made[id(migrations)]

    yield store
    for url in made.values():
        with MongoClient[dict[str, object]](url) as client:
            client.drop_database(client.get_default_database().name)


@pytest.fixture
def migrated_store(_migrated_stores: Callable[[Migrations], str]) -> Iterator[Callable[[Migrations], str]]:
    """Return a function that answers the URL of a context's MongoDB database as its migrations leave it.

    Its collections and indexes are made once and emptied after each test: to make them takes longer than most tests.
    """
    used: dict[str, Migrations] = {}

    def url(migrations: Migrations) -> str:
        found = _migrated_stores(migrations)
        used[found] = migrations
        return found

    yield url
    for each, migrations in used.items():
        with MongoClient[dict[str, object]](each) as client:
            database = client.get_default_database()
            for name in database.list_collection_names():
                if name in migrations.COLLECTIONS:
                    database[name].delete_many({})
                else:
                    database.drop_collection(name)


@contextmanager
def _databases(servers: Servers) -> Iterator[Callable[[str], str]]:
    """Give a function that copies a database and answers the copy's name; the copies are dropped at the end."""
    made: list[str] = []

    def create(template: str) -> str:
        name = f"test_{secrets.token_hex(8)}"
        copy = sql.SQL("CREATE DATABASE {} TEMPLATE {}")
        _administer(servers, copy.format(sql.Identifier(name), sql.Identifier(template)))
        made.append(name)
        return name

    try:
        yield create
    finally:
        for name in made:
            _administer(servers, sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))


def _marks_of_all(source: str) -> str:
    """The statement that marks every test of a file."""
    found = re.search(r"^pytestmark = (\[[^]]*\]|.*)", source, re.MULTILINE)
    return found[1] if found else ""


def _url_of(servers: Servers, database: str) -> str:
    return servers.postgres_admin_url.rpartition("/")[0] + "/" + database


def _administer(servers: Servers, statement: sql.Composed) -> None:
    deadline = time.monotonic() + _MANAGEMENT_SECONDS
    with closing(psycopg2.connect(servers.postgres_admin_url.replace("+psycopg2", ""))) as connection:
        connection.autocommit = True
        while True:
            try:
                with connection.cursor() as cursor:
                    cursor.execute(statement)
            except psycopg2.errors.ObjectInUse:  # a session is still ending; the server waits five seconds for it
                if time.monotonic() > deadline:
                    raise
            else:
                return
