"""docs/configuration.md, services/routes.txt, the .env.example beside each main.py: `python -m docs.configuration`.

Guarantee: both say what the settings classes say (a test compares); the addresses in the examples are those of a stack
on its default ports. No example has a secret.
"""

from __future__ import annotations

import re
from dataclasses import fields
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from docs.routes import routes
from infrastructure.database_roles import ALL_ROLES
from infrastructure.document_roles import DOCUMENT_ACCOUNTS
from infrastructure.local.control import CONTROL
from infrastructure.local.credentials import Credentials
from infrastructure.local.env_files import EXAMPLE, FOLDERS, folder_of, name_of, values_of
from infrastructure.local.home import DEFAULT_HOME, DEFAULT_PORT_BASE, Home
from infrastructure.privileges import BROKER_ACCOUNTS
from infrastructure.processes import PROCESSES, Process
from infrastructure.provision import settings as provision
from services import ROUTES_FILE

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "configuration.md"
PLACEHOLDER = "PASSWORD"
_HEAD = """\
# Settings

Every variable that a process reads, with its default. A process reads them once, when it starts, and a missing or
malformed one stops it with a line that names it. An empty variable counts as unset.

`holdfast up`, compose.yaml and Kubernetes set the variables of each process. Started by hand (`cd services/orders &&
python main.py`) a process also reads the `.env` next to its main.py; the environment overrides it. `holdfast env orders
--write` writes that file for the local stack.

`python -m docs.configuration` writes this page and every `.env.example` from the settings classes.

| variable | meaning | default | read by |
|---|---|---|---|
"""
_GROUPS = (("service-", "services"), ("worker-", "workers"), ("migrate-", "migrations"), ("accounts-", "account jobs"))


class Variable(NamedTuple):
    """One row of the page."""

    name: str
    meaning: str
    default: str
    is_required: bool


def settings_of(line: Process) -> type[Any]:
    """The settings class of a process of the table: `Settings` in the module that it starts."""
    words = list(line.command)
    served = next((word for word in words if word.endswith(":create_app()")), None)
    module = served.partition(":")[0] if served else words[words.index("-m") + 1]
    if module == "infrastructure.provision.migrate":  # it runs the kit's migrations, with the same environment
        module = "common.storage.migrations"
    if (ROOT / module.replace(".", "/")).is_dir():
        module += ".__main__"
    found: type[Any] = import_module(module).Settings
    return found


def readers() -> dict[str, type[Any]]:
    """Every process with its settings class; instances of one kind once."""
    found = {re.sub(r"-[0-9]+$", "", line.name): settings_of(line) for line in PROCESSES if line.command}
    return found | {
        CONTROL.name: settings_of(CONTROL),
        "accounts-postgres": provision.PostgresSettings,
        "accounts-rabbitmq": provision.RabbitmqSettings,
        "accounts-mongodb": provision.MongodbSettings,
    }


def variables_of(kind: type[Any]) -> list[Variable]:
    """The variables of a settings class, in its order."""
    return [_variable(item.metadata) for item in fields(kind)]


def page() -> str:
    """The whole of docs/configuration.md."""
    read: dict[Variable, list[str]] = {}
    every = readers()
    for name, kind in every.items():
        for variable in variables_of(kind):
            read.setdefault(variable, []).append(name)
    rows = [_row(variable, _named(names, every)) for variable, names in sorted(read.items())]
    return _HEAD + "".join(rows)


def example(folder: str) -> str:
    """The .env.example of a folder like `services/orders`."""
    found = {each.name: each for line in _lines(folder) for each in variables_of(settings_of(line))}
    values = values_of(folder, _home(), _credentials(), {})
    needed = [each for each in found.values() if each.is_required or each.name in values]
    rest = [each for each in found.values() if each not in needed]
    return "\n".join(
        [
            f"# Read by {', '.join(line.name for line in _lines(folder))}. The addresses are those of a local stack.",
            f"# `holdfast env {name_of(folder)} --write` makes .env of it, with the passwords of the stack.",
            f"# Copied by hand, it needs a value for each {PLACEHOLDER} and for what is empty.",
            "# Only `python main.py` in this folder reads .env, and the environment wins.",
            "# Written by `python -m docs.configuration` from the settings classes.",
            *(f"\n# {_sentence(each)}\n{each.name}={values.get(each.name, '')}" for each in needed),
            "\n# With their defaults:",
            *(f"\n# {_sentence(each)}\n#{each.name}={each.default}" for each in rest),
            "",
        ]
    )


def files() -> Mapping[Path, str]:
    """Every file that is written, with its text."""
    return {PAGE: page(), ROUTES_FILE: "".join(f"{each}\n" for each in routes())} | {
        ROOT / folder / EXAMPLE: example(folder) for folder in FOLDERS
    }


def _lines(folder: str) -> list[Process]:
    same = [line for line in PROCESSES if folder_of(line) == folder]
    return sorted(same, key=lambda line: line.is_job)  # what is served first; its jobs after it


def _variable(metadata: Mapping[str, Any]) -> Variable:
    options = metadata["options"]
    default = "" if options.get("default") is None else str(options["default"])
    return Variable(metadata["name"], metadata["meaning"], default, is_required="default" not in options)


def _sentence(variable: Variable) -> str:
    return f"{variable.meaning} Required." if variable.is_required else variable.meaning


def _row(variable: Variable, names: str) -> str:
    default = "required" if variable.is_required else f"`{variable.default}`" if variable.default else ""
    meaning = variable.meaning.replace("|", r"\|")
    return f"| `{variable.name}` | {meaning} | {default} | {names} |\n"


def _named(names: Iterable[str], every: Mapping[str, Any]) -> str:
    """The processes, with a whole group under its own name."""
    left, parts = list(names), []
    for prefix, group in _GROUPS:
        whole = [name for name in every if name.startswith(prefix)]
        if set(whole) <= set(left):
            parts.append(f"all {group}")
            left = [name for name in left if name not in whole]
    return ", ".join([*parts, *left])


def _home() -> Home:
    return Home(DEFAULT_HOME, DEFAULT_PORT_BASE)


def _credentials() -> Credentials:
    accounts = {account.name: PLACEHOLDER for account in BROKER_ACCOUNTS}
    databases = dict.fromkeys((*ALL_ROLES, *DOCUMENT_ACCOUNTS), PLACEHOLDER)
    nothing: dict[str, Any] = {item.name: "" for item in fields(Credentials)}
    return Credentials(**nothing | {"databases": databases, "brokers": accounts})


def main() -> None:
    for path, text in files().items():
        path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
