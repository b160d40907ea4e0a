"""The `.env` next to each main.py: its folder, and the values of a stack.

Guarantee: a file has only the ports, addresses and secrets of the processes of its folder.
"""

import re
from collections.abc import Mapping
from pathlib import PurePosixPath

from infrastructure.local.credentials import Credentials
from infrastructure.local.environment import stack_values
from infrastructure.local.home import Home
from infrastructure.processes import PROCESSES, Process

EXAMPLE, FILE = ".env.example", ".env"
_MODULE = re.compile(r"(?:services|workers)\.[a-z]+(?=\.)")


def folder_of(line: Process) -> str:
    """Return the folder with the process's main.py, like `services/orders`; empty if it has none there."""
    found = _MODULE.match(line.command[-1]) if line.command else None
    return str(PurePosixPath(*found[0].split("."))) if found else ""


FOLDERS = tuple(dict.fromkeys(filter(None, map(folder_of, PROCESSES))))


def name_of(folder: str) -> str:
    """Return the folder's short name: `orders` of its service, `worker-orders` of its worker, `relay`."""
    parent, _, name = folder.partition("/")
    return f"worker-{name}" if parent == "workers" and f"services/{name}" in FOLDERS else name


def values_of(folder: str, home: Home, credentials: Credentials, caller: Mapping[str, str]) -> dict[str, str]:
    """Return the stack's values for the folder's file."""
    values: dict[str, str] = {}
    for line in PROCESSES:
        if folder_of(line) == folder:
            for name, value in stack_values(line, home, credentials, caller).items():
                values.setdefault(
                    name, value.replace("postgresql+psycopg2:", "postgresql:")
                )  # in a format that any tool accepts
    return values


def filled(text: str, values: Mapping[str, str]) -> str:
    """Return the text of an example, or of a file made from one, with these values."""
    left = dict(values)

    def replace(match: re.Match[str]) -> str:
        return f"{match[1]}={left.pop(match[1])}" if match[1] in left else match[0]

    found = re.sub(r"^#?([A-Z][A-Z0-9_]*)=.*$", replace, text, flags=re.MULTILINE)
    return found + "".join(f"{name}={value}\n" for name, value in left.items())
