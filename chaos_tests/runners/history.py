"""The history of a run: JSON lines, only ever appended to, one whole line per write, by any number of processes.

An operation is written before it is sent (`invoke`) and again when its outcome is known, under the same number `i`:

    {"kind": "op", "t_mono": 12.5, "i": 7, "process": "client-3", "type": "invoke", "f": "place", "value": {...}}
    {"kind": "op", "t_mono": 12.6, "i": 7, "process": "client-3", "type": "ok", "f": "place", "value": {...},
     "error": null}

`ok`: success. `fail`: rejected before anything was written, or not sent. `info`: unknown; it may have happened once, or
not at all, never twice. An operation without an outcome counts as `info`.

Other kinds: `run` (the first line: seed, products, customers, and the wall clock at `t_mono`), `fault` (the window of a
fault; see `Fault`), `sample` (the system from outside, about once a second), `resources` (memory and storage; see
`resources.py`), `end` (the workload ended normally; without it the history is incomplete). All `t_mono`, `began` and
`ended` are seconds of this machine's monotonic clock, which its processes share. The reader skips and counts torn
lines.
"""

from __future__ import annotations

import json
import os
import time
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

INVOKE, OK, FAIL, INFO = "invoke", "ok", "fail", "info"
CHUNK_BYTES = 8_000_000


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault, which ends when it is restored. None means unknown.

    `took_effect`: whether the injector observed its effect (a changed process id, a refused connection), with
    `evidence`; None leaves it to the checker, which then searches for errors or a stall in the window. `accepts`:
    whether orders must be accepted during the fault. `outage`: whether a dependency was down (or slow), so that P7
    applies: no attempts used up, nothing dead-lettered. `dead_letters`: the intended number (poison).
    """

    name: str
    began: float
    ended: float
    took_effect: bool | None = None
    evidence: str = ""
    target: str = ""
    accepts: bool | None = None
    outage: bool = True
    dead_letters: int = 0


class History:
    """An append-only history. A line reaches the kernel before `append` returns, so it survives this process."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)

    def append(self, kind: str, **values: Any) -> None:
        """Write one line. Raises `OSError`, also after a partial write."""
        line = json.dumps({"kind": kind, "t_mono": round(time.monotonic(), 6), **values}, separators=(",", ":"))
        data = line.encode() + b"\n"
        if os.write(self._file, data) != len(data):
            message = f"{self.path}: only a part of a line was written"
            raise OSError(message)

    def fault(self, fault: Fault) -> None:
        """Record a fault that is over."""
        self.append("fault", **asdict(fault))

    def close(self) -> None:
        os.close(self._file)


def read(path: Path) -> Iterator[dict[str, Any]]:
    """Every record, in the order of writing; a malformed line becomes `{"kind": "torn"}`."""
    with path.open("rb") as file:
        while lines := file.readlines(CHUNK_BYTES):
            try:  # reading many at once is several times faster
                yield from json.loads(b"[" + b",".join(lines) + b"]")
            except ValueError:
                yield from map(_record, lines)


def _record(line: bytes) -> dict[str, Any]:
    try:
        record = json.loads(line)
    except ValueError:
        record = None
    return record if isinstance(record, dict) else {"kind": "torn"}
