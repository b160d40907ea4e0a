"""The page that maps the models to the code names existing code, and lists every process and mutant."""

import ast
import re
from pathlib import Path

import pytest

from chaos_tests.model.cases import MUTANTS, QUICK

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "model.md").read_text(encoding="utf-8")
MODELS = sorted((ROOT / "chaos_tests" / "model").glob("*.pml"))
# Bounds and options, which are no mutants.
BOUNDS = {name for case in QUICK for name in case.bounds} | {"LIVENESS"}


def named() -> list[tuple[str, str]]:
    """Each (file, function) of the page; a function without a file belongs to the previous file of its row."""
    found = []
    for line in PAGE.splitlines():
        file = ""
        for word in re.findall(r"`([^`]+)`", line.rpartition(" | ")[2] if line.startswith("|") else ""):
            if word.endswith(".py"):
                file = word
            elif file and re.fullmatch(r"[\w.]+", word):
                found.append((file, word))
    return found


def functions(file: str) -> set[str]:
    tree = ast.parse((ROOT / file).read_text(encoding="utf-8"))
    plain = {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
    methods = {
        f"{node.name}.{each.name}"
        for node in tree.body
        if isinstance(node, ast.ClassDef)
        for each in node.body
        if isinstance(each, ast.FunctionDef)
    }
    return plain | methods


def test_every_named_function_exists() -> None:
    pairs = named()
    assert len(pairs) > 60
    assert [f"{file} {name}" for file, name in pairs if name not in functions(file)] == []


@pytest.mark.parametrize("model", MODELS, ids=lambda path: str(path.stem))
def test_every_process_is_mapped(model: Path) -> None:
    section = PAGE.split(f"### {model.name}")[1].split("\n## ")[0].split("\n### ")[0]
    processes = re.findall(r"^proctype (\w+)", model.read_text(encoding="utf-8"), re.MULTILINE)
    assert processes
    assert [name for name in processes if f"| `{name}`" not in section] == []


@pytest.mark.parametrize("model", MODELS, ids=lambda path: str(path.stem))
def test_every_macro_is_a_mutant(model: Path) -> None:
    text = model.read_text(encoding="utf-8")
    switches = set(re.findall(r"^#ifn?def (\w+)", text, re.MULTILINE))
    defined = set(re.findall(r"^#define (\w+)", text, re.MULTILINE)) | BOUNDS
    assert switches - defined == {mutant.name for mutant in MUTANTS if mutant.model == model.stem}
