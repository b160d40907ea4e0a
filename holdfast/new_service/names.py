"""The allowed names of a new context and its resource."""

from __future__ import annotations

import keyword
import re
from typing import TYPE_CHECKING

from sqlalchemy.dialects.postgresql.base import RESERVED_WORDS

from infrastructure.gateway.routes import ROUTES
from infrastructure.local.errors import StackError
from infrastructure.privileges import BROKER_ACCOUNTS
from infrastructure.processes import PROCESSES

if TYPE_CHECKING:
    from pathlib import Path

_NAME = re.compile(r"[a-z]{2,20}")
_KIT_TABLES = {"outbox", "inbox", "leases"}
# Accounts and databases of the servers themselves, packages of the tree, and words of the import rules.
_RESERVED = {"administration", "administrator", "admin", "config", "guest", "local", "public", "tests", "common"}


def check_name(name: str, root: Path) -> None:
    """Raise StackError if a context cannot have this name."""
    if not _NAME.fullmatch(name):
        raise StackError(f"{name!r} is not a valid service name: use 2 to 20 lower-case letters")
    taken = {line.name for line in PROCESSES} | {account.name for account in BROKER_ACCOUNTS} | _RESERVED
    if name in taken or keyword.iskeyword(name) or name in RESERVED_WORDS or name.startswith(("pg", "template")):
        raise StackError(f"the name {name!r} is reserved")
    if any((root / parent / name).exists() for parent in ("services", "workers")):
        raise StackError(f"the context {name!r} already exists")


def check_resource(resource: str) -> None:
    """Raise StackError if no table and path can have this name."""
    if not _NAME.fullmatch(resource):
        raise StackError(f"{resource!r} is not a valid resource name: use 2 to 20 lower-case letters")
    if keyword.iskeyword(resource) or resource in RESERVED_WORDS | _KIT_TABLES or resource.startswith("pg"):
        raise StackError(f"the name {resource!r} is reserved: choose another with --resource")
    for path, context in ROUTES:
        if path == f"/api/v1/{resource}":
            raise StackError(f"{path} belongs to {context}: choose another with --resource")
