"""The names of operators who have signed in to the console, by their ids: records name people by id alone.

A name is what was entered at the last sign-in. It is only displayed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pymongo.database import Database

COLLECTION = "operators"


def remember(database: Database[dict[str, Any]], operator_id: str, name: str) -> None:
    database[COLLECTION].update_one({"_id": operator_id}, {"$set": {"name": name}}, upsert=True)


def name_of(database: Database[dict[str, Any]], operator_id: str) -> str | None:
    """None for an operator who has never signed in to the console."""
    found = database[COLLECTION].find_one({"_id": operator_id})
    return str(found["name"]) if found else None
