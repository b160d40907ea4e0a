"""The privileges within one database, from `infrastructure.database_roles`.

Guarantee: afterwards each role has exactly the described privileges; old ones are replaced in one transaction, so
running processes never lack them. They are granted by the database's owner or an administrator; idempotent.
"""

from psycopg2 import sql
from psycopg2.extensions import connection as Connection  # noqa: N812 - psycopg2 names its classes in lower case
from psycopg2.extensions import cursor as Cursor  # noqa: N812 - psycopg2 names its classes in lower case

from infrastructure.database_roles import OWNER, RELAY, RUNTIME, SCHEDULER, role_name, table_rights

# Concurrent grants would change the same rows of the catalogue. ("rights": an arbitrary shared lock number.)
_ADVISORY_LOCK = 0x726967687473
_ROWS = sql.SQL("SELECT, INSERT, UPDATE, DELETE")
_OPEN = (
    "REVOKE ALL ON DATABASE {database} FROM PUBLIC",
    "GRANT CONNECT ON DATABASE {database} TO {runtime}, {relay}, {scheduler}",
    "REVOKE ALL ON SCHEMA public FROM PUBLIC",
    "GRANT USAGE ON SCHEMA public TO {runtime}, {relay}, {scheduler}",
    "GRANT {rows} ON ALL TABLES IN SCHEMA public TO {runtime}",
    # Tables of later migrations, from their creation on.
    "ALTER DEFAULT PRIVILEGES FOR ROLE {owner} IN SCHEMA public GRANT {rows} ON TABLES TO {runtime}",
)


def grant(connection: Connection, context: str) -> None:
    """Grant every role of the connected database its privileges. The context's tables must exist."""
    with connection, connection.cursor() as cursor:
        names = open_to_runtime(cursor)
        cursor.execute(sql.SQL("REVOKE ALL ON alembic_version FROM {runtime}").format(**names))
        for part, rights in table_rights(context).items():
            role = names[part]
            cursor.execute(sql.SQL("REVOKE ALL ON ALL TABLES IN SCHEMA public FROM {}").format(role))
            for right in rights:
                statement = sql.SQL("GRANT {} ON {} TO {}")
                cursor.execute(statement.format(sql.SQL(right.privileges), sql.Identifier(right.table), role))
        # A process that is started by hand reports missing migrations.
        cursor.execute(sql.SQL("GRANT SELECT ON alembic_version TO {runtime}, {relay}, {scheduler}").format(**names))


def open_to_runtime(cursor: Cursor) -> dict[str, sql.Identifier]:
    """Let the roles connect, and grant the context's own role the existing tables; returns the roles' names."""
    cursor.execute("SELECT pg_advisory_xact_lock(%s), current_database()", (_ADVISORY_LOCK,))
    [(_, database)] = cursor.fetchall()
    parts = {"runtime": RUNTIME, "owner": OWNER, "relay": RELAY, "scheduler": SCHEDULER}
    names = {word: sql.Identifier(role_name(database, part)) for word, part in parts.items()}
    for statement in _OPEN:
        cursor.execute(sql.SQL(statement).format(database=sql.Identifier(database), rows=_ROWS, **names))
    return names
