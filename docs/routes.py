"""services/routes.txt: every route of the Flask services; `python -m docs.configuration` writes it.

A service reads it to tell a route of another service from one that does not exist (`common/web/rate_limits.py`).
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from flask import Blueprint, Flask

from infrastructure.processes import PROCESSES
from services import ROUTES_FILE

if TYPE_CHECKING:
    from collections.abc import Iterator

SERVICES = tuple(line.context for line in PROCESSES if "gunicorn" in line.command)
# Every route answers these as well.
_IMPLIED = frozenset({"HEAD", "OPTIONS"})


def routes() -> list[str]:
    """The text of each line, like `POST /api/v1/orders`, sorted by path."""
    app = Flask(__name__, static_folder=None)
    for number, blueprint in enumerate(_blueprints()):
        app.register_blueprint(blueprint, name=str(number))
    found = {(rule.rule, method) for rule in app.url_map.iter_rules() for method in (rule.methods or set()) - _IMPLIED}
    return [f"{method} {rule}" for rule, method in sorted(found)]


def _blueprints() -> Iterator[Blueprint]:
    for service in SERVICES:
        for path in sorted((ROUTES_FILE.parent / service).glob("*.py")):
            module = import_module(f"services.{service}.{path.stem}")
            yield from (each for each in vars(module).values() if _is_made_there(each, module.__name__))


def _is_made_there(value: object, module: str) -> bool:
    return isinstance(value, Blueprint) and value.import_name == module
