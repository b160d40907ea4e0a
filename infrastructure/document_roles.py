"""MongoDB's accounts: which process connects as whom, and what that account may do.

Guarantee: a context's account reads and writes the database of its name and no other. `live` owns no data: it reads the
archive's events, and nothing else of the archive, and writes nothing (docs/decisions/0021).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from infrastructure.processes import DOCUMENT_CONTEXTS

ARCHIVE, EVENTS = "archive", "events"


@dataclass(frozen=True, slots=True)
class CustomRole:
    """A role that MongoDB does not bring along: actions on one collection (or on none), in the database that has it."""

    name: str
    database: str
    collection: str
    actions: tuple[str, ...]

    @property
    def privileges(self) -> list[dict[str, Any]]:
        resource = {"db": self.database, "collection": self.collection}
        return [{"resource": resource, "actions": list(self.actions)}]


EVENTS_READER = CustomRole("events_reader", ARCHIVE, EVENTS, ("find", "changeStream"))
CUSTOM_ROLES = (EVENTS_READER,)
# Accounts that own no database, with the database that their address names.
READERS: Mapping[str, CustomRole] = {"live": EVENTS_READER}

DOCUMENT_ACCOUNTS: tuple[str, ...] = (*DOCUMENT_CONTEXTS, *READERS)


def database_of(account: str) -> str:
    """Return the database that an account works with."""
    return READERS[account].database if account in READERS else account


def roles_of(account: str) -> list[dict[str, str]]:
    """Return the account's roles, as MongoDB's `createUser` takes them."""
    role = READERS.get(account)
    return [{"role": role.name if role else "readWrite", "db": database_of(account)}]
