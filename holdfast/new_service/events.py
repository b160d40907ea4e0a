"""The events that the new service reads: a tolerant schema from each golden sample in tests/contracts/."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from infrastructure.local.errors import StackError

if TYPE_CHECKING:
    from pathlib import Path

_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a reader: its name, the marshmallow expression, and its import from common.schemas."""

    name: str
    expression: str
    imported: str


@dataclass(frozen=True, slots=True)
class ConsumedEvent:
    """An event with the names of its handler and reader."""

    type: str
    fields: tuple[Field, ...]

    @property
    def words(self) -> list[str]:
        return re.split(r"[._]", self.type.rpartition(".")[0])

    @property
    def function(self) -> str:
        return "record_" + "_".join(self.words)

    @property
    def reader(self) -> str:
        return "".join(word.capitalize() for word in self.words)

    @property
    def constant(self) -> str:
        return "_" + "_".join(self.words).upper()


def read_events(root: Path, types: tuple[str, ...]) -> list[ConsumedEvent]:
    """Return the events, each once. StackError for an unknown event, or one without a usable field."""
    samples = {path.stem: path for path in sorted((root / "tests" / "contracts").glob("*.json"))}
    found = []
    for name in dict.fromkeys(types):
        if name not in samples:
            raise StackError(f"no service publishes {name!r}; the events are {', '.join(samples)}")
        data = json.loads(samples[name].read_text(encoding="utf-8"))["data"]
        fields = tuple(field for key, value in data.items() if (field := _field(key, value)))
        if not fields:
            raise StackError(f"{name} has no field of a plain type: write its reader by hand")
        found.append(ConsumedEvent(name, fields))
    if len({event.function for event in found}) < len(found):
        raise StackError("two versions of one event: add the second by hand")
    return found


def _field(name: str, value: Any) -> Field | None:
    """The samples have every promised field. Lists and nested objects, except money, are omitted."""
    if isinstance(value, str) and _ID.fullmatch(value):
        return Field(name, "id_field(required=True)", "id_field")
    if isinstance(value, str):
        return Field(name, "text_field(high=255, required=True)", "text_field")
    if isinstance(value, int) and not isinstance(value, bool):
        return Field(name, "Integer(required=True)", "Integer")
    if isinstance(value, dict) and set(value) == {"amount", "currency"}:
        return Field(name, "fields.Nested(TolerantMoneySchema, required=True)", "TolerantMoneySchema")
    return None
