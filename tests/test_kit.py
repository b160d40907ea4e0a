"""`common/` knows no context: contexts hand in what belongs to them, and nothing is imported by a string."""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING

import pytest

from tests.test_tree import ROOT, is_test, named, python_files

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

KIT = [path for path in python_files("common") if not is_test(path)]
CONTEXTS = sorted(path.parent.name for path in ROOT.glob("services/*/main.py"))
_EVENT = re.compile(r"\b[a-z_]+\.[a-z_]+\.v[0-9]+\b")
_OF_A_CONTEXT = re.compile(rf"\b({'|'.join(['services', 'workers', *CONTEXTS])})\.[a-z]")
# The kit's own event, the format of a type, and the dead-letter queue, whose name is public.
ALLOWED = {"attempt.failed.v1", "type is not of the form thing.happened.v1", "operations.dead-letters"}


def strings(path: Path) -> Iterator[str]:
    """The string constants of a module, without its docstrings."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    documentation = {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
        and node.body
        and isinstance(node.body[0], ast.Expr)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in documentation:
            yield node.value


def names_a_context(text: str) -> bool:
    return text not in ALLOWED and bool(_EVENT.search(text) or _OF_A_CONTEXT.search(text))


def test_the_kit_names_no_event_or_context() -> None:
    assert [(named(path), text) for path in KIT for text in strings(path) if names_a_context(text)] == []


@pytest.mark.parametrize("text", ["order.placed.v1", "orders.placed", "operations.events", "services.orders"])
def test_names_of_contexts_are_detected(text: str) -> None:
    assert names_a_context(text)


# `holdfast.cli` imports a subcommand's module of `holdfast.commands` when it is called.
BY_STRING = {"holdfast/cli.py"}


def test_only_the_command_imports_by_string() -> None:
    rooms = ("common", "services", "workers", "holdfast", "infrastructure")
    found = {
        named(path)
        for path in python_files(*rooms)
        if not is_test(path) and re.search(r"\b(import_module|__import__)\(", path.read_text(encoding="utf-8"))
    }
    assert found == BY_STRING
