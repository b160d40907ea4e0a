"""PostgreSQL's roles: the role of each process in a context's database, and its privileges.

Guarantee: a role connects only to the database of its context, and is not a superuser. A context's service and worker
share one role, which reads and writes rows but changes no tables. Only the owner does that, and only migrations run as
the owner. A relay reads and deletes outbox rows and sets events aside; the scheduler runs its sweeps and reads the age
of the outbox.
Not promised: within `leases` a role may take any lease, and any role may take advisory locks.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from infrastructure.processes import RELATIONAL_CONTEXTS, Process

# Suffixes of role names; the context's own role has the plain name of the database.
RUNTIME, OWNER, RELAY, SCHEDULER = "", "owner", "relay", "scheduler"
_PARTS = (RUNTIME, OWNER, RELAY, SCHEDULER)
_PART_OF_PROCESS = {"migrate": OWNER, "relay": RELAY, "scheduler": SCHEDULER}


@dataclass(frozen=True, slots=True)
class TableRight:
    """The privileges of a role on one table, in GRANT's syntax, limited to columns where possible."""

    table: str
    privileges: str


def role_name(database: str, part: str) -> str:
    """Return the name of a database's role."""
    return f"{database}_{part}" if part else database


def role_names(database: str) -> tuple[str, ...]:
    """Return every role of a database."""
    return tuple(role_name(database, part) for part in _PARTS)


def role_of_process(line: Process, context: str) -> str:
    """Return the role of a process of the table in the context's database."""
    return role_name(context, _PART_OF_PROCESS.get(line.name.partition("-")[0], RUNTIME))


ALL_ROLES: tuple[str, ...] = tuple(name for context in RELATIONAL_CONTEXTS for name in role_names(context))

_LEASES = TableRight("leases", "SELECT, INSERT, UPDATE, DELETE")
_OUTBOX_AGE = TableRight("outbox", "SELECT (position, created_at, set_aside_at)")
_EMIT = TableRight("outbox", "INSERT (event_id, type, correlation_id, body)")
_PRUNE_INBOX = TableRight("inbox", "SELECT (ctid, received_at), DELETE")
_PRUNE_REPLIES = TableRight("idempotency_replies", "SELECT (ctid, created_at, leased_until), DELETE")

RELAY_RIGHTS: tuple[TableRight, ...] = (TableRight("outbox", "SELECT, DELETE, UPDATE (set_aside_at)"), _LEASES)
_PRUNING: tuple[TableRight, ...] = (_OUTBOX_AGE, _LEASES, _PRUNE_INBOX, _PRUNE_REPLIES)
# For each context whose sweeps in workers/<context>/sweeps.py do more than pruning, or that has other tables.
SCHEDULER_RIGHTS: Mapping[str, tuple[TableRight, ...]] = {
    "users": (
        *(_OUTBOX_AGE, _LEASES, _PRUNE_REPLIES),
        TableRight("failed_sign_ins", "SELECT (ctid, first_at), DELETE"),
        TableRight("known_networks", "SELECT (ctid, last_at), DELETE"),
    ),
    "inventory": (
        *(_OUTBOX_AGE, _EMIT, _LEASES, _PRUNE_INBOX, _PRUNE_REPLIES),
        TableRight("reservations", "SELECT, UPDATE (asks, asked_at, version)"),
    ),
    "orders": (
        *(_OUTBOX_AGE, _EMIT, _LEASES, _PRUNE_INBOX, _PRUNE_REPLIES),
        TableRight("saga_clock", "SELECT, UPDATE (active_seconds, ticked_at)"),
        TableRight("orders", "SELECT"),
        TableRight("orders", "UPDATE (status, cancel_reason, version, updated_at, final_envelope, clock_reading)"),
    ),
    # Its sweeps run in its own worker, which has the payment provider's key.
    "payments": (_OUTBOX_AGE,),
}


def table_rights(context: str) -> Mapping[str, tuple[TableRight, ...]]:
    """Return the privileges of each restricted role of the context's database, by the role's suffix."""
    return {RELAY: RELAY_RIGHTS, SCHEDULER: SCHEDULER_RIGHTS.get(context, _PRUNING)}
