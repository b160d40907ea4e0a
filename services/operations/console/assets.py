"""The addresses of the console's own files, with a digest: a browser caches each until its content changes."""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path

from flask import url_for

_STATIC = Path(__file__).parent / "static"


def address(name: str) -> str:
    return url_for("console.static_file", name=name, v=_digest(name))


@cache
def _digest(name: str) -> str:
    return hashlib.sha256((_STATIC / name).read_bytes()).hexdigest()[:12]
