"""Updating a database and its roles: from an earlier version, and with an administrator without superuser."""

import secrets
from collections.abc import Iterator
from contextlib import closing

import psycopg2
import pytest
from psycopg2.errors import InsufficientPrivilege

from common.storage.migrations import upgrade
from infrastructure.database_roles import OWNER, RELAY, RUNTIME, role_name, role_names
from infrastructure.local.sharing import Servers
from infrastructure.provision import grants
from infrastructure.provision.postgres import connect, provision_database

pytestmark = pytest.mark.integration


class Scratch:
    """A database's name with a password for each role, for the test and its cleanup."""

    def __init__(self, administrator_url: str) -> None:
        self.administrator_url = administrator_url
        self.name = f"test_{secrets.token_hex(8)}"
        self.passwords = {role: secrets.token_hex(8) for role in role_names(self.name)}

    def url(self, part: str) -> str:
        role = role_name(self.name, part)
        place = self.administrator_url.rpartition("@")[2].rpartition("/")[0]
        return f"postgresql+psycopg2://{role}:{self.passwords[role]}@{place}/{self.name}"

    def administer(self, statement: str, database: str = "") -> None:
        with closing(connect(self.administrator_url, database)) as connection, connection.cursor() as cursor:
            cursor.execute(statement)


@pytest.fixture
def scratch(servers: Servers) -> Iterator[Scratch]:
    made = Scratch(servers.postgres_admin_url)
    yield made
    made.administer(f"DROP DATABASE IF EXISTS {made.name} WITH (FORCE)")
    for role in role_names(made.name):
        made.administer(f"DROP ROLE IF EXISTS {role}")


def execute(url: str, statement: str) -> None:
    with closing(connect(url)) as connection, connection.cursor() as cursor:
        cursor.execute(statement)


def grant(scratch: Scratch, context: str) -> None:
    with closing(connect(scratch.url(OWNER))) as connection:
        connection.autocommit = False
        grants.grant(connection, context)


def as_before(scratch: Scratch) -> None:
    """One role for everything, which owns the database and its tables."""
    scratch.administer(f"CREATE ROLE {scratch.name} LOGIN PASSWORD '{scratch.passwords[scratch.name]}'")
    scratch.administer(f"CREATE DATABASE {scratch.name} OWNER {scratch.name}")
    upgrade("orders", scratch.url(RUNTIME))
    execute(scratch.url(RUNTIME), "CREATE TABLE of_a_migration_that_came_by_hand ()")


def test_a_database_of_an_earlier_version_is_transferred_to_its_owner(scratch: Scratch) -> None:
    as_before(scratch)
    running = connect(scratch.url(RUNTIME))
    for _ in range(2):  # each start of a stack repeats this
        provision_database(scratch.administrator_url, scratch.name, scratch.passwords)
        # Running processes of the earlier version use the context's own role.
        with running.cursor() as cursor:
            cursor.execute("UPDATE orders SET version = version + 1")
            cursor.execute("DELETE FROM outbox")
            with pytest.raises(InsufficientPrivilege):
                cursor.execute("ALTER TABLE of_a_migration_that_came_by_hand ADD COLUMN n int")
        upgrade("orders", scratch.url(OWNER))
        grant(scratch, "orders")
    running.close()
    execute(scratch.url(OWNER), "DROP TABLE of_a_migration_that_came_by_hand")
    execute(scratch.url(RELAY), "DELETE FROM outbox")


def test_a_privilege_removed_from_the_description_is_revoked(scratch: Scratch) -> None:
    provision_database(scratch.administrator_url, scratch.name, scratch.passwords)
    upgrade("users", scratch.url(OWNER))
    relay = role_name(scratch.name, RELAY)
    scratch.administer(f"GRANT UPDATE (role), SELECT ON users TO {relay}", scratch.name)
    execute(scratch.url(RELAY), "UPDATE users SET role = 'operator'")
    grant(scratch, "users")
    with pytest.raises(InsufficientPrivilege):
        execute(scratch.url(RELAY), "UPDATE users SET role = 'operator'")


def test_a_new_password_replaces_the_old_one(scratch: Scratch) -> None:
    provision_database(scratch.administrator_url, scratch.name, scratch.passwords)
    old = scratch.url(RELAY)
    scratch.passwords[role_name(scratch.name, RELAY)] = secrets.token_hex(8)
    provision_database(scratch.administrator_url, scratch.name, scratch.passwords)
    connect(scratch.url(RELAY)).close()
    with pytest.raises(psycopg2.OperationalError, match="password authentication failed"):
        connect(old)


def test_an_administrator_without_superuser_is_sufficient(servers: Servers) -> None:
    """Like the administrator of a managed server."""
    role, password = f"test_{secrets.token_hex(8)}", secrets.token_hex(8)
    superuser = Scratch(servers.postgres_admin_url)
    superuser.administer(f"CREATE ROLE {role} LOGIN CREATEDB CREATEROLE PASSWORD '{password}'")
    superuser.administer(f"GRANT CONNECT ON DATABASE postgres TO {role}")
    place = servers.postgres_admin_url.rpartition("@")[2]
    managed = Scratch(f"postgresql+psycopg2://{role}:{password}@{place}")
    try:
        for _ in range(2):
            provision_database(managed.administrator_url, managed.name, managed.passwords)
            upgrade("payments", managed.url(OWNER))
            grant(managed, "payments")
        execute(managed.url(RUNTIME), "DELETE FROM refunds")
        with pytest.raises(InsufficientPrivilege):
            execute(managed.url(RELAY), "DELETE FROM refunds")
    finally:
        superuser.administer(f"DROP DATABASE IF EXISTS {managed.name} WITH (FORCE)")
        superuser.administer(f"DROP OWNED BY {role}")
        for name in (*role_names(managed.name), role):
            superuser.administer(f"DROP ROLE IF EXISTS {name}")
