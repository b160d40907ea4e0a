"""The modules, commands and files that the pages name exist. (tests/e2e runs the README's first order.)"""

import re
from importlib.util import find_spec
from pathlib import Path

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


def test_pages_exist() -> None:
    assert len(PAGES) > 40
    assert ROOT / "README.md" in PAGES


def test_the_modules_that_pages_name_exist() -> None:
    named_modules = {
        (named(page), name.rstrip("."))
        for page in PAGES
        for name in re.findall(r"python3? -m ([\w.]+)", page.read_text(encoding="utf-8"))
    }
    assert [(page, name) for page, name in sorted(named_modules) if not is_module(name)] == []


def test_the_commands_that_pages_name_exist() -> None:
    commands = set(main.list_commands(None))  # type: ignore[arg-type]  # the table needs no context
    for page in PAGES:
        found = re.findall(r"(?:`|bin/|\$\()holdfast ([a-z][a-z-]*)", page.read_text(encoding="utf-8"))
        assert set(found) <= commands, named(page)


def test_the_files_that_pages_link_to_exist() -> None:
    links = {
        (page, match[1])
        for page in PAGES
        for match in re.finditer(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8"))
        if "://" not in match[1]
    }
    assert [(named(page), link) for page, link in sorted(links) if not (page.parent / link).exists()] == []
