"""The modules, commands and files that the pages name exist. (tests/e2e runs the README's first order.)"""

import re
from importlib.util import find_spec
from pathlib import Path

import pytest

from holdfast.cli import main
from tests.test_tree import ROOT

PAGES = sorted(
    path
    for path in (*ROOT.glob("*.md"), *ROOT.glob("[a-z]*/**/*.md"))
    if not any(part.startswith(".") for part in path.relative_to(ROOT).parts)
)


def named(path: Path) -> str:
    return str(path.relative_to(ROOT))


def is_module(name: str) -> bool:
    try:
        return find_spec(name) is not None
    except ModuleNotFoundError:
        return False


def test_there_are_pages() -> None:
    assert len(PAGES) > 40
    assert ROOT / "README.md" in PAGES


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_what_a_page_names_is_there(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    modules = {name.rstrip(".") for name in re.findall(r"python3? -m ([\w.]+)", text)}
    assert [name for name in sorted(modules) if not is_module(name)] == []
    commands = set(re.findall(r"(?:`|bin/|\$\()holdfast ([a-z][a-z-]*)", text))
    assert commands <= set(main.list_commands(None))  # type: ignore[arg-type]  # the table needs no context
    links = {match[1] for match in re.finditer(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", text) if "://" not in match[1]}
    missing = {(page.parent / link).resolve() for link in links if not (page.parent / link).exists()}
    assert not missing
