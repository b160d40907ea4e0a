"""PostgreSQL's roles and databases: one of each for a context.

Guarantee: a role owns its own database and can open no other, not even the servers' own (`postgres`, `template1`).
"""

from collections.abc import Mapping

import psycopg2
from psycopg2 import sql
from psycopg2.extensions import connection as Connection  # noqa: N812

from infrastructure.processes import RELATIONAL_CONTEXTS

CONNECT_SECONDS = 3
_SERVERS_OWN = ("postgres", "template1")


def connect(url: str) -> Connection:
    """Return a connection as the administrator, each statement its own transaction. Raises psycopg2's errors."""
    connection = psycopg2.connect(url.replace("+psycopg2", ""), connect_timeout=CONNECT_SECONDS)
    connection.autocommit = True
    return connection


def provision(administrator_url: str, passwords: Mapping[str, str]) -> None:
    """Make each context's role and database, and set the role's password."""
    connection = connect(administrator_url)
    try:
        with connection.cursor() as cursor:
            for database in _SERVERS_OWN:
                cursor.execute(sql.SQL("REVOKE CONNECT ON DATABASE {} FROM PUBLIC").format(sql.Identifier(database)))
        for context in RELATIONAL_CONTEXTS:
            _provision_context(connection, context, passwords[context])
    finally:
        connection.close()


def _provision_context(connection: Connection, context: str, password: str) -> None:
    name = sql.Identifier(context)
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", (context,))
        verb = "ALTER" if cursor.fetchone() else "CREATE"
        # A managed server's administrator is no superuser. Who is none may not even say that another is to be none, and
        # gives a database only to a role that it has itself.
        cursor.execute("SELECT rolsuper FROM pg_roles WHERE rolname = CURRENT_USER")
        is_superuser = cursor.fetchone() == (True,)
        rights = sql.SQL("NOSUPERUSER " if is_superuser else "")
        role = sql.SQL("{} ROLE {} LOGIN {}NOCREATEDB NOCREATEROLE PASSWORD {}")
        cursor.execute(role.format(sql.SQL(verb), name, rights, sql.Literal(password)))
        if not is_superuser:
            cursor.execute(sql.SQL("GRANT {} TO CURRENT_USER").format(name))
        cursor.execute("SELECT 1 FROM pg_database WHERE datname = %s", (context,))
        if not cursor.fetchone():
            cursor.execute(sql.SQL("CREATE DATABASE {} OWNER {}").format(name, name))
        cursor.execute(sql.SQL("REVOKE ALL ON DATABASE {} FROM PUBLIC").format(name))
