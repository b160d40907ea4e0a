"""The rights within one database, from `infrastructure.database_roles`.

Guarantee: afterwards each role has the rights of the description and no others; what it had before is replaced, in one
transaction, so no statement of a running process finds them missing. They are given by the database's owner or by an
administrator, and may be given again at any time.
"""

from psycopg2 import sql
from psycopg2.extensions import connection as Connection  # noqa: N812
from psycopg2.extensions import cursor as Cursor  # noqa: N812

from infrastructure.database_roles import OWNER, RELAY, RUNTIME, SCHEDULER, role_name, table_rights

# Two that grant at once would change the same rows of the catalogue. ("rights": any number that both agree on.)
_ADVISORY_LOCK = 0x726967687473
_ROWS = sql.SQL("SELECT, INSERT, UPDATE, DELETE")
_OPEN = (
    "REVOKE ALL ON DATABASE {database} FROM PUBLIC",
    "GRANT CONNECT ON DATABASE {database} TO {runtime}, {relay}, {scheduler}",
    "REVOKE ALL ON SCHEMA public FROM PUBLIC",
    "GRANT USAGE ON SCHEMA public TO {runtime}, {relay}, {scheduler}",
    "GRANT {rows} ON ALL TABLES IN SCHEMA public TO {runtime}",
    # Tables of later migrations, from the moment they are there.
    "ALTER DEFAULT PRIVILEGES FOR ROLE {owner} IN SCHEMA public GRANT {rows} ON TABLES TO {runtime}",
)


def grant(connection: Connection, context: str) -> None:
    """Give every role of the connected database its rights. The context's tables must be there."""
    with connection, connection.cursor() as cursor:
        names = open_to_runtime(cursor)
        cursor.execute(sql.SQL("REVOKE ALL ON alembic_version FROM {runtime}").format(**names))
        for part, rights in table_rights(context).items():
            role = names[part]
            cursor.execute(sql.SQL("REVOKE ALL ON ALL TABLES IN SCHEMA public FROM {}").format(role))
            for right in rights:
                statement = sql.SQL("GRANT {} ON {} TO {}")
                cursor.execute(statement.format(sql.SQL(right.privileges), sql.Identifier(right.table), role))
        # A process that is started by hand says which migration its database lacks.
        cursor.execute(sql.SQL("GRANT SELECT ON alembic_version TO {runtime}, {relay}, {scheduler}").format(**names))


def open_to_runtime(cursor: Cursor) -> dict[str, sql.Identifier]:
    """Let the roles connect, and the context's own role work with what tables there are; answers the roles' names."""
    cursor.execute("SELECT pg_advisory_xact_lock(%s), current_database()", (_ADVISORY_LOCK,))
    [(_, database)] = cursor.fetchall()
    parts = {"runtime": RUNTIME, "owner": OWNER, "relay": RELAY, "scheduler": SCHEDULER}
    names = {word: sql.Identifier(role_name(database, part)) for word, part in parts.items()}
    for statement in _OPEN:
        cursor.execute(sql.SQL(statement).format(database=sql.Identifier(database), rows=_ROWS, **names))
    return names
