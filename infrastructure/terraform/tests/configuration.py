"""The Terraform modules as python-hcl2 reads them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import hcl2

TERRAFORM = Path(__file__).parents[1]
DIRECTORIES = [TERRAFORM, *sorted(path for path in (TERRAFORM / "modules").iterdir() if path.is_dir())]
_WORD = r"[a-z][a-z0-9_]*"
_REFERENCE = re.compile(
    rf"(?<![\w.])((?:data\.)?aws_{_WORD}|module|var|local)\.({_WORD})(?:\[[^\]]*\])?(?:\.({_WORD}))?"
)


@dataclass(frozen=True, slots=True)
class Resource:
    """One resource, or data source: its kind then begins with `data.`."""

    kind: str
    name: str
    body: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Module:
    """The declarations of one directory, and its references: (kind or scope, name, attribute)."""

    directory: Path
    resources: tuple[Resource, ...]
    variables: dict[str, dict[str, Any]]
    outputs: dict[str, dict[str, Any]]
    calls: dict[str, dict[str, Any]]
    locals: frozenset[str]
    references: frozenset[tuple[str, str, str]]


def module_paths() -> list[str]:
    """The path of each module below this folder; the root is `.`. Reads no file, unlike `load_modules`."""
    return [str(path.relative_to(TERRAFORM)) for path in DIRECTORIES]


@cache
def load_modules() -> dict[str, Module]:
    """Every module by its path."""
    return dict(zip(module_paths(), map(_load, DIRECTORIES), strict=True))


def _load(directory: Path) -> Module:
    texts = [path.read_text(encoding="utf-8") for path in sorted(directory.glob("*.tf"))]
    parsed = [_plain(hcl2.loads(text)) for text in texts]
    resources = [Resource(*each) for document in parsed for each in _labelled(document.get("resource", []))]
    sources = [
        (f"data.{kind}", name, body) for document in parsed for kind, name, body in _labelled(document.get("data", []))
    ]
    return Module(
        directory=directory,
        resources=(*resources, *(Resource(*each) for each in sources)),
        variables=_named(parsed, "variable"),
        outputs=_named(parsed, "output"),
        calls=_named(parsed, "module"),
        locals=frozenset(name for document in parsed for block in document.get("locals", []) for name in block),
        references=frozenset(found for text in texts for found in _references(text)),
    )


def _references(text: str) -> list[tuple[str, str, str]]:
    code = re.sub(r"^\s*#.*$|description\s*=.*$", "", text, flags=re.MULTILINE)
    return [(scope, name, attribute) for scope, name, attribute in _REFERENCE.findall(code)]


def _labelled(blocks: list[dict[str, Any]]) -> list[tuple[str, str, dict[str, Any]]]:
    return [(kind, name, body) for block in blocks for kind, inner in block.items() for name, body in inner.items()]


def _named(documents: list[dict[str, Any]], word: str) -> dict[str, dict[str, Any]]:
    return {name: body for document in documents for block in document.get(word, []) for name, body in block.items()}


def _plain(value: Any) -> Any:
    """The value without the parser's markers and the quotes of strings."""
    if isinstance(value, dict):
        return {_plain(key): _plain(each) for key, each in value.items() if key not in {"__is_block__", "__comments__"}}
    if isinstance(value, list):
        return [_plain(each) for each in value]
    return value[1:-1] if isinstance(value, str) and value.startswith('"') and value.endswith('"') else value
