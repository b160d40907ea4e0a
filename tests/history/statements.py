"""Every SQL statement of the tree: module constants made by `text` or `statement` in common, services and workers."""

from __future__ import annotations

import ast
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from pathlib import Path
from pkgutil import walk_packages
from typing import TYPE_CHECKING, Any

from sqlalchemy import TextClause

import common
import services
import workers

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
_KIT_IS_TRIED_IN = "orders"  # a context that uses all of the kit's tables
_LEFT_OUT = {"tests", "migrations", "main", "__main__"}


@dataclass(frozen=True)
class Statement:
    """`name` is the module's and the constant's; `context` owns the tables."""

    name: str
    context: str
    clause: TextClause


@cache
def statements() -> list[Statement]:
    found = []
    for package in (common, services, workers):
        for module in walk_packages(package.__path__, f"{package.__name__}."):
            parts = module.name.split(".")
            if not module.ispkg and not _LEFT_OUT & set(parts):
                context = _KIT_IS_TRIED_IN if package is common else parts[1]
                found += [Statement(name, context, clause) for name, clause in _constants(module.name)]
    return found


def inline_statements() -> list[str]:
    """The files with statements inside functions, which `statements` does not find."""
    files = [path for package in ("common", "services", "workers") for path in sorted((ROOT / package).rglob("*.py"))]
    return [
        str(path.relative_to(ROOT))
        for path in files
        if not {"tests", "migrations"} & set(path.parts) and _makes_one_inline(path.read_text(encoding="utf-8"))
    ]


def _constants(module: str) -> Iterator[tuple[str, TextClause]]:
    for name, value in vars(import_module(module)).items():
        for number, clause in enumerate(_clauses(value)):
            yield f"{module}.{name}" + (f"[{number}]" if clause is not value else ""), clause


def _clauses(value: Any) -> Iterator[TextClause]:
    if isinstance(value, TextClause):
        yield value
    elif isinstance(value, dict):
        yield from _clauses(list(value.values()))
    elif isinstance(value, list | tuple):
        for each in value:
            yield from _clauses(each)


def _makes_one_inline(source: str) -> bool:
    if "sqlalchemy" not in source:
        return False
    functions = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.FunctionDef)]
    calls = [node for function in functions for node in ast.walk(function) if isinstance(node, ast.Call)]
    return any(isinstance(call.func, ast.Name) and call.func.id in {"text", "statement"} for call in calls)
