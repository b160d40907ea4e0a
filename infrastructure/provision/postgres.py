"""PostgreSQL's roles and databases: one database per context, and its roles.

Guarantee: each database belongs to its owner's role, also if an older version created it, and no role can connect to
another database, not even `postgres` and `template1`. `grants.py` has the privileges within a database.
"""

from collections.abc import Mapping
from contextlib import closing

import psycopg2
from psycopg2 import sql
from psycopg2.extensions import connection as Connection  # noqa: N812 - psycopg2 names its classes in lower case
from psycopg2.extensions import cursor as Cursor  # noqa: N812 - psycopg2 names its classes in lower case
from psycopg2.extensions import make_dsn

from infrastructure.database_roles import OWNER, RUNTIME, role_name, role_names
from infrastructure.processes import RELATIONAL_CONTEXTS
from infrastructure.provision import grants

CONNECT_SECONDS = 3
# Changing the owner locks each table briefly; a longer wait would block others behind it.
LOCK_SECONDS = 2
_SERVERS_OWN = ("postgres", "template1")
_PUBLIC_SCHEMA_IS_THE_OWNERS = 150_000


def connect(url: str, database: str = "") -> Connection:
    """Return a connection with autocommit. Raises psycopg2's errors."""
    dsn = url.replace("+psycopg2", "")
    connection = psycopg2.connect(make_dsn(dsn, dbname=database) if database else dsn, connect_timeout=CONNECT_SECONDS)
    connection.autocommit = True
    return connection


def provision(administrator_url: str, passwords: Mapping[str, str]) -> None:
    """Create each context's roles and database, and set the roles' passwords."""
    with closing(connect(administrator_url)) as connection, connection.cursor() as cursor:
        for database in _SERVERS_OWN:
            cursor.execute(sql.SQL("REVOKE CONNECT ON DATABASE {} FROM PUBLIC").format(sql.Identifier(database)))
    for context in RELATIONAL_CONTEXTS:
        provision_database(administrator_url, context, passwords)


def provision_database(administrator_url: str, name: str, passwords: Mapping[str, str]) -> None:
    """Create or update one database with its roles; `passwords` has each role's."""
    with closing(connect(administrator_url)) as connection, connection.cursor() as cursor:
        for role in role_names(name):
            _make_role(cursor, role, passwords[role])
        cursor.execute("SELECT 1 FROM pg_database WHERE datname = %s", (name,))
        if not cursor.fetchone():
            owner = sql.Identifier(role_name(name, OWNER))
            cursor.execute(sql.SQL("CREATE DATABASE {} OWNER {}").format(sql.Identifier(name), owner))
    with closing(connect(administrator_url, name)) as connection:
        connection.autocommit = False
        with connection, connection.cursor() as cursor:
            _hand_over(cursor, name)


def _make_role(cursor: Cursor, role: str, password: str) -> None:
    name = sql.Identifier(role)
    cursor.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", (role,))
    verb = "ALTER" if cursor.fetchone() else "CREATE"
    # A managed server's administrator is not a superuser. It may not even specify NOSUPERUSER for a role, and
    # can give a database only to a role that it is a member of.
    cursor.execute("SELECT rolsuper FROM pg_roles WHERE rolname = CURRENT_USER")
    is_superuser = cursor.fetchone() == (True,)
    rights = sql.SQL("NOSUPERUSER NOREPLICATION NOBYPASSRLS " if is_superuser else "")
    statement = sql.SQL("{} ROLE {} LOGIN {}NOCREATEDB NOCREATEROLE PASSWORD {}")
    cursor.execute(statement.format(sql.SQL(verb), name, rights, sql.Literal(password)))
    if not is_superuser:
        cursor.execute(sql.SQL("GRANT {} TO CURRENT_USER").format(name))


def _hand_over(cursor: Cursor, name: str) -> None:
    """Transfer objects that an earlier version created with the context's own role to the owner; the role keeps
    working.
    """
    owner, runtime = sql.Identifier(role_name(name, OWNER)), sql.Identifier(role_name(name, RUNTIME))
    cursor.execute("SELECT set_config('lock_timeout', %s, true)", (f"{LOCK_SECONDS}s",))
    if cursor.connection.server_version < _PUBLIC_SCHEMA_IS_THE_OWNERS:
        cursor.execute(sql.SQL("ALTER SCHEMA public OWNER TO {}").format(owner))
    cursor.execute(sql.SQL("REASSIGN OWNED BY {} TO {}").format(runtime, owner))
    grants.open_to_runtime(cursor)
