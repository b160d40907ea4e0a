"""The tables and statements that a context declares in services/<context>/tests/history.py, if it exists."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
# `FILLING`: SQL that gives each table 20,000 rows. `PARAMETERS`: values for the statements' parameters, by its name in
# the context, like `models._LIST`.
OWN: dict[str, Any] = {
    path.parents[1].name: import_module(f"services.{path.parents[1].name}.tests.history")
    for path in sorted(ROOT.glob("services/*/tests/history.py"))
}
