"""The sandbox's settings, read from the environment once at start.

Guarantee: a missing or malformed variable stops the process with one line that names it.
It does not promise that the port is free or the directory writable; the start finds that out.
"""

from dataclasses import dataclass
from pathlib import Path

from environs import Env, EnvError, validate

LOG_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")
HIGHEST_PORT = 65_535


class SettingsError(Exception):
    """The environment does not describe a sandbox that can start."""


@dataclass(frozen=True)
class Settings:
    """Where to listen, where to keep the ledger, how much to say."""

    host: str
    port: int
    directory: Path
    log_level: str


def read_settings() -> Settings:
    """Read SERVICE_HOST, SERVICE_PORT, SANDBOX_DATA and LOG_LEVEL."""
    env = Env()
    try:
        return Settings(
            host=env.str("SERVICE_HOST", "127.0.0.1"),
            port=env.int("SERVICE_PORT", validate=validate.Range(min=1, max=HIGHEST_PORT)),
            directory=Path(env.str("SANDBOX_DATA", validate=validate.Length(min=1))),
            log_level=env.str("LOG_LEVEL", "INFO", validate=validate.OneOf(LOG_LEVELS)),
        )
    except EnvError as error:
        raise SettingsError(str(error)) from error
