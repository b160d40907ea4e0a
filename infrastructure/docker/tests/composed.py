"""compose.yaml, parsed, with the values of an `.env` substituted."""

import re
from pathlib import Path
from typing import Any

import yaml

from infrastructure.docker.secret_file import EXAMPLE, complete

ROOT = Path(__file__).parents[3]
FILE = ROOT / "compose.yaml"
DEVELOPMENT = ROOT / "compose.dev.yaml"  # an addition to compose.yaml, passed after it
_VARIABLE = re.compile(r"\$\$|\$\{([A-Z][A-Z0-9_]*)(?::([-?])([^}]*))?\}")


def variables() -> dict[str, str]:
    """The variables that `holdfast secrets` writes."""
    text, _ = complete(EXAMPLE.read_text(encoding="utf-8"), {})
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    return dict(line.split("=", 1) for line in lines)


def compose(values: dict[str, str], file: Path = FILE) -> dict[str, Any]:
    """The whole file; AssertionError if a required variable is not set."""
    found: dict[str, Any] = _filled(yaml.load(file.read_text(encoding="utf-8"), Loader=yaml.CSafeLoader), values)
    return found


def named_in_files() -> set[str]:
    text = "".join(file.read_text(encoding="utf-8") for file in (FILE, DEVELOPMENT))
    return {match[1] for match in _VARIABLE.finditer(text) if match[1]}


def _filled(node: Any, values: dict[str, str]) -> Any:
    if isinstance(node, dict):
        return {key: _filled(value, values) for key, value in node.items()}
    if isinstance(node, list):
        return [_filled(value, values) for value in node]
    return _VARIABLE.sub(lambda match: _value(match, values), node) if isinstance(node, str) else node


def _value(match: re.Match[str], values: dict[str, str]) -> str:
    name, kind, rest = match.groups()
    if name is None:
        return "$"
    assert kind != "?" or values.get(name), f"{name} must be set: {rest}"
    return values.get(name) or (rest if kind == "-" else "")
