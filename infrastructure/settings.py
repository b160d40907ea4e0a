"""What the programs beside the system (Flower, the sandbox) read alike: where they serve, and how much they say.

Guarantee: a missing or malformed variable is one line that names it. It does not promise that the port is free.
(They are no part of the system, so they do not read with its kit; the variables and their values are the same.)
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from environs import Env, EnvError, validate

HIGHEST_PORT = 65_535
LOG_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR")


class SettingsError(Exception):
    """The environment does not describe a program that can start."""


@dataclass(frozen=True, slots=True)
class Served:
    """Where to serve, how much to say."""

    host: str
    port: int
    log_level: str


@contextmanager
def environment() -> Iterator[Env]:
    """The environment to read from; SettingsError names the variable that does not do."""
    try:
        yield Env()
    except EnvError as error:
        raise SettingsError(str(error)) from error


def read_served(env: Env) -> Served:
    """Read SERVICE_HOST, SERVICE_PORT and LOG_LEVEL."""
    return Served(
        host=env.str("SERVICE_HOST", "127.0.0.1"),
        port=env.int("SERVICE_PORT", validate=validate.Range(min=1, max=HIGHEST_PORT)),
        log_level=env.str("LOG_LEVEL", "INFO", validate=validate.OneOf(LOG_LEVELS)),
    )
