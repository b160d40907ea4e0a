"""MongoDB's accounts: which process connects as whom, and what that account may do.

Guarantee: a context's account reads and writes the database of its name and no other. `live` and `bridge` read the
archive's events, and nothing else of the archive (docs/decisions/0021); `live` writes nothing, `bridge` has a database
of its own.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from infrastructure.processes import DOCUMENT_CONTEXTS, MAIL

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
# Whose address names the database that they read, and what they may read there.
READERS: Mapping[str, CustomRole] = {"live": EVENTS_READER, "bridge": EVENTS_READER}
_ALSO_OWN_DATABASE = frozenset({"bridge"})

DOCUMENT_ACCOUNTS: tuple[str, ...] = (*DOCUMENT_CONTEXTS, MAIL, *READERS)


def database_of(account: str) -> str:
    """Return the database that an account works with."""
    return READERS[account].database if account in READERS else account


def roles_of(account: str) -> list[dict[str, str]]:
    """Return the account's roles, as MongoDB's `createUser` takes them."""
    own = [{"role": "readWrite", "db": account}]
    if account not in READERS:
        return own
    reads = [{"role": READERS[account].name, "db": READERS[account].database}]
    return reads + own if account in _ALSO_OWN_DATABASE else reads
