"""Injected faults: selects those of a request, and stores them on disk.

Guarantees: the list survives a restart; a fault with `remaining` strikes at most that often, also across restarts;
a fault with a `seed` strikes the same requests in every run that sends the same sequence.

`injection.py` executes faults. After a restart a seeded sequence continues after the last injection, not after
unaffected requests since.
"""

import json
import random
import re
import threading
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from infrastructure.sandbox.decisions import decide
from infrastructure.sandbox.identifiers import new_id
from infrastructure.sandbox.storage import Storage

KINDS = (
    *("error", "error_after", "latency", "hang", "reset", "lost_answer", "nonsense", "rate_limit", "refuse"),
    "undecided",
)
BODIES = ("html", "bytes", "empty", "json")
OPERATIONS = ("create", "confirm", "cancel", "retrieve", "list", "refund", "retrieve_refund", "list_refunds")
MOST_FAULTS = 100


@dataclass(frozen=True)
class Match:
    """The requests of a fault; None matches all."""

    method: str | None = None
    path: str | None = None
    operation: str | None = None

    def fits(self, method: str, path: str, operation: str | None) -> bool:
        return (
            self.method in (None, method)
            and self.operation in (None, operation)
            and (self.path is None or re.search(self.path, path) is not None)
        )


@dataclass(frozen=True)
class Fault:
    """One fault; README.md says what each kind does."""

    kind: str
    rate: float = 1.0
    status: int | None = None
    seconds: float | None = None
    jitter_seconds: float | None = None
    after: bool | None = None
    body: str | None = None
    code: str | None = None
    outcome: str | None = None
    state: str | None = None
    match: Match = field(default_factory=Match)
    remaining: int | None = None
    seed: int | None = None
    id: str = field(default_factory=lambda: new_id("fault", 12))
    draws: int = 0
    struck: int = 0

    def drawn(self) -> tuple["Fault", random.Random | None]:
        """Draw once: returns the updated fault, and a source of randomness if it is injected."""
        chance = random.Random() if self.seed is None else random.Random(f"{self.seed}/{self.draws}")
        drawn = replace(self, draws=self.draws + 1)
        if chance.random() >= self.rate:
            return drawn, None
        remaining = None if self.remaining is None else self.remaining - 1
        return replace(drawn, struck=self.struck + 1, remaining=remaining), chance

    def document(self) -> dict[str, Any]:
        """The fault as the admin API shows it."""
        shown = {name: value for name, value in asdict(self).items() if value is not None and name != "draws"}
        shown["match"] = {name: value for name, value in shown["match"].items() if value is not None}
        return shown


@dataclass(frozen=True)
class Strike:
    """A fault for this request, and its duration."""

    fault: Fault
    seconds: float


class FaultBook:
    """The current faults, in order."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage
        self._guard = threading.Lock()
        with storage.read() as tx:
            rows = tx.execute("SELECT document FROM faults ORDER BY position").fetchall()
        self._faults = [_parse(json.loads(row["document"])) for row in rows]

    def current(self) -> list[Fault]:
        with self._guard:
            return list(self._faults)

    def replace_all(self, faults: Iterable[Fault]) -> None:
        with self._guard:
            self._save(list(faults))

    def add(self, fault: Fault) -> bool:
        """Append a fault; False if there would be too many."""
        with self._guard:
            if len(self._faults) >= MOST_FAULTS:
                return False
            self._save([*self._faults, fault])
            return True

    def remove(self, ident: str) -> bool:
        """Remove one; False if there is none with that id."""
        with self._guard:
            rest = [fault for fault in self._faults if fault.id != ident]
            if len(rest) == len(self._faults):
                return False
            self._save(rest)
            return True

    def strikes(self, method: str, path: str, operation: str | None) -> list[Strike]:
        """The faults of this request: every drawn latency up to the first other fault, and that one."""
        with self._guard:
            faults, strikes = list(self._faults), list[Strike]()
            for index, fault in enumerate(faults):
                if fault.remaining == 0 or not fault.match.fits(method, path, operation):
                    continue
                faults[index], chance = fault.drawn()
                if chance is None:
                    continue
                strikes.append(Strike(fault, (fault.seconds or 0.0) + (fault.jitter_seconds or 0.0) * chance.random()))
                if fault.kind != "latency":
                    break
            if any(fault.remaining is not None or fault.seed is not None for fault in (s.fault for s in strikes)):
                self._save(faults)
            else:
                self._faults = faults
            return strikes

    def _save(self, faults: list[Fault]) -> None:
        with self._storage.write() as tx:
            decide(tx, [fault.id for fault in faults])
            tx.execute("DELETE FROM faults")
            tx.executemany(
                "INSERT INTO faults (position, document) VALUES (?, ?)",
                [(position, json.dumps(asdict(fault))) for position, fault in enumerate(faults)],
            )
        self._faults = faults


def _parse(stored: dict[str, Any]) -> Fault:
    return Fault(**{**stored, "match": Match(**stored["match"])})
