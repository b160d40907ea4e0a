"""The sandbox's settings, read from the environment once at start.

Guarantee: a missing or malformed variable stops the process with one line that names it.
It does not promise that the port is free or the directory writable; the start finds that out.
"""

from dataclasses import dataclass
from pathlib import Path

from environs import validate

from infrastructure.settings import Served, environment, read_served


@dataclass(frozen=True, slots=True)
class Settings:
    """Where to listen and how much to say; where to keep the ledger."""

    served: Served
    directory: Path


def read_settings() -> Settings:
    """Read SANDBOX_DATA, and where to serve."""
    with environment() as env:
        return Settings(
            served=read_served(env), directory=Path(env.str("SANDBOX_DATA", validate=validate.Length(min=1)))
        )
