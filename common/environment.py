"""Environment -> typed settings, checked once at start.

A process declares its settings as a frozen dataclass of `setting(...)` fields; `load` returns an instance or
stops the process, naming every variable that is missing or malformed (twelve-factor: https://12factor.net/config).
Nothing else in the tree reads the environment.
"""

from __future__ import annotations

import os
import sys
from dataclasses import field, fields
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar, cast

from dotenv import dotenv_values
from environs import Env, EnvValidationError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

T = TypeVar("T")
_REQUIRED = object()


def setting(
    name: str, kind: str = "str", *, meaning: str, default: Any = _REQUIRED, check: Any = None, formerly: str = ""
) -> Any:
    """A dataclass field read from the variable `name` by environs' parser `kind` (str, int, float, bool, json).

    `meaning` is one sentence for operators, with the unit and the effect of an empty value. `formerly` is the
    variable's old name: read for one more version, with a warning.
    """
    options: dict[str, Any] = {} if default is _REQUIRED else {"default": default}
    if check is not None:
        options["validate"] = check
    metadata = {"name": name, "kind": kind, "options": options, "meaning": meaning, "formerly": formerly}
    return field(metadata=metadata) if default is _REQUIRED else field(default=default, metadata=metadata)


def load(kind: type[T]) -> T:
    """Read `kind` from the environment; on bad settings print each by name and exit with status 2."""
    env = Env(eager=False)
    values: dict[str, Any] = {}
    for item in fields(kind):  # type: ignore[arg-type]  # dataclasses has no public protocol to name here
        variable = item.metadata
        _accept_former_name(variable["name"], variable["formerly"])
        # An empty variable counts as missing.
        if os.environ.get(variable["name"]) == "":
            del os.environ[variable["name"]]
        values[item.name] = getattr(env, variable["kind"])(variable["name"], **variable["options"])
    try:
        env.seal()
    except EnvValidationError as error:
        messages = cast("dict[str, list[str]]", error.error_messages)
        refuse({name: "; ".join(map(str, reasons)) for name, reasons in messages.items()})
    return kind(**values)


def _accept_former_name(name: str, formerly: str) -> None:
    value = os.environ.pop(formerly, "") if formerly else ""
    if value:
        print(f"{formerly} is now called {name}: the old name is read for one more version", file=sys.stderr)  # noqa: T201 - no logger exists yet
        os.environ[name] = os.environ.get(name) or value


def refuse(problems: Mapping[str, str]) -> NoReturn:
    """Stop the process: print what is wrong with each variable, by its name, and exit with status 2."""
    for name, problem in problems.items():
        print(f"bad setting {name}: {problem}", file=sys.stderr)  # noqa: T201 - no logger exists yet
    raise SystemExit(2)


def read_env_file(file: Path) -> None:
    """Add the variables of an .env file to the environment, which overrides them; a missing file has none."""
    for name, value in dotenv_values(file).items():
        if value and not os.environ.get(name):
            os.environ[name] = value


def variables(kind: type[Any]) -> list[str]:
    """The names of the variables that `kind` reads, for documentation and checks."""
    return [item.metadata["name"] for item in fields(kind)]
