"""The requirements of experiments on machine and driver. A missing one makes an experiment "not run", never
"passed".
"""

from __future__ import annotations

import os
import shutil
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

CLUSTER = "rabbitmq-cluster"
FAKETIME = ("/usr/lib/*/faketime/libfaketime.so.1", "/usr/local/lib/faketime/libfaketime.so.1")


def missing(requires: Iterable[str], driver: str, rabbitmq_nodes: int = 1) -> list[str]:
    """The missing requirements as text. Raises `KeyError` for an unknown one."""
    found = []
    for need in requires:
        if need in ("local", "compose"):
            found += [] if driver == need else [f"the {need} driver"]
            continue
        if need == CLUSTER:
            found += [] if rabbitmq_nodes > 1 else ["a broker of three nodes (--rabbitmq-nodes 3)"]
            continue
        text, is_there = _NEEDS[need]
        found += [] if is_there() else [text]
    return found


def _has_loop_devices() -> bool:
    return Path("/dev/loop-control").exists() and all(map(shutil.which, ("losetup", "mkfs.ext4", "mount", "umount")))


def faketime_library() -> str | None:
    """The path of libfaketime; HOLDFAST_FAKETIME overrides it."""
    named = os.environ.get("HOLDFAST_FAKETIME")
    candidates = [Path(named)] if named else [path for pattern in FAKETIME for path in Path("/").glob(pattern[1:])]
    return next((str(path) for path in candidates if path.exists()), None)


_NEEDS: dict[str, tuple[str, Callable[[], bool]]] = {
    "root": ("root", lambda: os.geteuid() == 0),
    "linux": ("Linux", lambda: sys.platform == "linux"),
    "strace": ("strace", lambda: shutil.which("strace") is not None),
    "loop": ("loop devices and mkfs.ext4", _has_loop_devices),
    "kafka": ("confluent-kafka, for its mock cluster", lambda: find_spec("confluent_kafka") is not None),
    "faketime": ("libfaketime", lambda: faketime_library() is not None),
}
NEEDS = frozenset({"local", "compose", CLUSTER, *_NEEDS})
