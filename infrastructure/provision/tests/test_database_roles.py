"""The effective privileges of PostgreSQL's roles on a real server, in each context's migrated database."""

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager

import psycopg2
import pytest
from psycopg2.errors import InsufficientPrivilege
from psycopg2.extensions import cursor as Cursor  # noqa: N812 - psycopg2 names its classes in lower case

from infrastructure.database_roles import OWNER, RELAY, RUNTIME, SCHEDULER
from infrastructure.local.sharing import Servers
from infrastructure.processes import RELATIONAL_CONTEXTS

pytestmark = pytest.mark.integration
Urls = dict[str, Callable[[str], str]]
PARTS = (RUNTIME, OWNER, RELAY, SCHEDULER)
EVERYWHERE = RELATIONAL_CONTEXTS

HOLD = """
    INSERT INTO leases (name, holder, expires_at) VALUES ('x', 'me', now())
    ON CONFLICT (name) DO UPDATE SET holder = excluded.holder WHERE leases.expires_at < now() RETURNING 1
"""
EMIT = "INSERT INTO outbox (event_id, type, correlation_id, body) VALUES (gen_random_uuid(), 'x', 'x', 'x')"
PRUNE = "DELETE FROM {} WHERE ctid = ANY (ARRAY(SELECT ctid FROM {} WHERE {} < now() LIMIT 1))"
PRUNE_INBOX = PRUNE.format("inbox", "inbox", "received_at")
PRUNE_REPLIES = PRUNE.format("idempotency_replies", "idempotency_replies", "created_at")

ALLOWED: list[tuple[str, tuple[str, ...], str]] = [
    (RELAY, EVERYWHERE, "SELECT position, event_id, type, correlation_id, body, created_at FROM outbox"),
    (RELAY, EVERYWHERE, "DELETE FROM outbox WHERE position = ANY(ARRAY[1, 2])"),
    (RELAY, EVERYWHERE, "UPDATE outbox SET set_aside_at = now() WHERE position = 1 AND set_aside_at IS NULL"),
    (RELAY, EVERYWHERE, HOLD),
    (RELAY, EVERYWHERE, "DELETE FROM leases WHERE name = 'x' AND holder = 'me'"),
    (SCHEDULER, EVERYWHERE, "SELECT created_at FROM outbox WHERE set_aside_at IS NULL ORDER BY position LIMIT 1"),
    (SCHEDULER, ("users", "inventory", "orders"), HOLD),
    (SCHEDULER, ("users", "inventory", "orders"), PRUNE_REPLIES),
    (SCHEDULER, ("inventory", "orders"), PRUNE_INBOX),
    (SCHEDULER, ("inventory", "orders"), EMIT),
    (SCHEDULER, ("inventory",), "UPDATE reservations SET asks = 1, asked_at = now() RETURNING order_id, items"),
    (SCHEDULER, ("orders",), "UPDATE saga_clock SET active_seconds = active_seconds + 1 RETURNING active_seconds"),
    (SCHEDULER, ("orders",), "SELECT * FROM orders FOR UPDATE"),
    (SCHEDULER, ("orders",), "UPDATE orders SET status = 'cancelled', cancel_reason = 'timed_out'"),
    (RUNTIME, EVERYWHERE, EMIT),
    (RUNTIME, EVERYWHERE, "DELETE FROM idempotency_replies"),
    (RUNTIME, ("users",), "UPDATE users SET role = 'operator'"),
    (RUNTIME, ("payments",), "SELECT * FROM refunds FOR UPDATE"),
    *((part, EVERYWHERE, "SELECT version_num FROM alembic_version") for part in (RUNTIME, RELAY, SCHEDULER)),
    (OWNER, EVERYWHERE, "CREATE TABLE later ()"),
    (OWNER, EVERYWHERE, "ALTER TABLE outbox ADD COLUMN later text"),
    (OWNER, EVERYWHERE, "SELECT pg_advisory_lock(1)"),
]
FORBIDDEN: list[tuple[str, tuple[str, ...], str]] = [
    (RELAY, ("users",), "UPDATE users SET role = 'operator'"),
    (RELAY, ("users",), "SELECT password_hash FROM users"),
    (RELAY, ("payments",), "DELETE FROM refunds"),
    (RELAY, ("orders",), "SELECT * FROM orders"),
    (RELAY, EVERYWHERE, EMIT),
    (RELAY, EVERYWHERE, "UPDATE outbox SET body = 'forged'"),
    (RELAY, EVERYWHERE, "SELECT 1 FROM idempotency_replies"),
    (RELAY, ("inventory", "orders", "payments"), "DELETE FROM inbox"),
    (SCHEDULER, ("users",), "UPDATE users SET role = 'operator'"),
    (SCHEDULER, ("users",), "SELECT password_hash FROM users"),
    (SCHEDULER, ("users",), "SELECT digest FROM api_keys"),
    (SCHEDULER, ("users",), "UPDATE failed_sign_ins SET failures = 0"),
    (RELAY, ("users",), "DELETE FROM failed_sign_ins"),
    (SCHEDULER, ("users",), EMIT),
    (SCHEDULER, ("inventory",), "UPDATE products SET on_hand = 0"),
    (SCHEDULER, ("inventory",), "UPDATE reservations SET status = 'sold'"),
    (SCHEDULER, ("orders",), "UPDATE orders SET total = 0"),
    (SCHEDULER, ("orders",), "DELETE FROM orders"),
    (SCHEDULER, ("orders",), "UPDATE prices SET amount = 1"),
    (SCHEDULER, ("payments",), "SELECT 1 FROM payments"),
    (SCHEDULER, ("payments",), "DELETE FROM refunds"),
    (SCHEDULER, ("payments",), HOLD),
    (SCHEDULER, ("payments",), EMIT),
    (SCHEDULER, EVERYWHERE, "SELECT body FROM outbox"),
    (SCHEDULER, EVERYWHERE, "DELETE FROM outbox"),
    (SCHEDULER, EVERYWHERE, "SELECT * FROM idempotency_replies"),
    *(
        (part, EVERYWHERE, statement)
        for part in (RUNTIME, RELAY, SCHEDULER)
        for statement in (
            *("CREATE TABLE mine ()", "CREATE TEMPORARY TABLE mine ()", "CREATE SCHEMA mine"),
            *("TRUNCATE outbox", "DELETE FROM alembic_version", "CREATE ROLE mine"),
        )
    ),
    *((part, EVERYWHERE, "ALTER TABLE outbox ADD COLUMN mine text") for part in (RUNTIME, RELAY, SCHEDULER)),
    (OWNER, EVERYWHERE, "CREATE ROLE mine"),
    (OWNER, EVERYWHERE, "COPY outbox TO PROGRAM 'true'"),
]


def each(table: list[tuple[str, tuple[str, ...], str]]) -> list[tuple[str, str, str]]:
    return [(part, context, statement) for part, contexts, statement in table for context in contexts]


@pytest.fixture(scope="module")
def urls(context_database: Callable[[str], Callable[[str], str]]) -> Urls:
    return {context: context_database(context) for context in RELATIONAL_CONTEXTS}


@contextmanager
def connected(url: str) -> Iterator[Cursor]:
    """A connection whose transaction is rolled back."""
    with closing(psycopg2.connect(url.replace("+psycopg2", ""))) as connection, connection.cursor() as cursor:
        yield cursor
        connection.rollback()


@pytest.mark.parametrize(("part", "context", "statement"), each(ALLOWED))
def test_an_account_may_use_its_privileges(urls: Urls, part: str, context: str, statement: str) -> None:
    with connected(urls[context](part)) as cursor:
        cursor.execute(statement)


@pytest.mark.parametrize(("part", "context", "statement"), each(FORBIDDEN))
def test_an_account_may_not_exceed_its_privileges(urls: Urls, part: str, context: str, statement: str) -> None:
    with connected(urls[context](part)) as cursor, pytest.raises(InsufficientPrivilege):
        cursor.execute(statement)


@pytest.mark.parametrize("part", PARTS)
def test_a_role_connects_only_to_its_own_database(servers: Servers, urls: Urls, part: str) -> None:
    own = urls["orders"](part)
    with connected(own) as cursor:
        cursor.execute("""
            SELECT rolsuper, rolcreatedb, rolcreaterole, rolreplication, rolbypassrls,
                   (SELECT count(*) FROM pg_auth_members WHERE member = pg_roles.oid)
            FROM pg_roles WHERE rolname = current_user
        """)
        assert cursor.fetchone() == (False, False, False, False, False, 0)
    others = [urls["payments"](part).rpartition("/")[2], "payments", "postgres", "template1"]
    for other in others:
        with (
            pytest.raises(psycopg2.OperationalError, match="permission denied for database"),
            connected(f"{own.rpartition('/')[0]}/{other}"),
        ):
            pass


def test_an_account_without_a_role_is_rejected(servers: Servers, urls: Urls) -> None:
    """A privilege of PUBLIC would be one of every login of the server."""
    role, password = "orders_relay", servers.database_passwords["orders_relay"]
    server, name = urls["orders"](RELAY).rpartition("@")[2].split("/")
    with (
        pytest.raises(psycopg2.OperationalError, match="permission denied for database"),
        connected(f"postgresql://{role}:{password}@{server}/{name}"),
    ):
        pass


def test_only_service_roles_may_use_a_table_of_a_later_migration(
    context_database: Callable[[str], Callable[[str], str]],
) -> None:
    url = context_database("users")
    with closing(psycopg2.connect(url(OWNER).replace("+psycopg2", ""))) as connection, connection.cursor() as cursor:
        cursor.execute("CREATE TABLE later (n int)")
        connection.commit()
    with connected(url(RUNTIME)) as cursor:
        cursor.execute("INSERT INTO later VALUES (1)")
    for part in (RELAY, SCHEDULER):
        with connected(url(part)) as cursor, pytest.raises(InsufficientPrivilege):
            cursor.execute("SELECT 1 FROM later")
