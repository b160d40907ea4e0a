"""Which running system a command talks to: a local stack's home, or a gateway's URL with what else is needed."""

from __future__ import annotations

import os
from contextlib import contextmanager
from dataclasses import dataclass
from functools import wraps
from typing import TYPE_CHECKING, Any

import click
import requests

from holdfast.client import ApiError, Client
from holdfast.commands.options import home_option, no_stack
from infrastructure.local.errors import StackError
from infrastructure.local.home import existing_home
from infrastructure.local.stack import Stack

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

SANDBOX_KEY = "sk_test_sandbox"
EXIT_UNREADABLE = 4
OPERATOR = "operator"


@dataclass(frozen=True)
class Target:
    """The gateway, the operator's password there, and the other witnesses. `stack` is None for a system elsewhere."""

    url: str
    operator_password: str
    management_url: str
    ledger_url: str | None
    ledger_key: str
    stack: Stack | None = None

    def anyone(self) -> Client:
        """A client without a token."""
        return Client(self.url)

    def operator(self) -> Client:
        """A client that acts as the operator."""
        return self.client_of({"username": OPERATOR, "password": self.operator_password})

    def client_of(self, credentials: dict[str, str]) -> Client:
        """A client that acts for whoever has these credentials (a body for POST /tokens)."""
        return Client(self.url, lambda: str(self.anyone().post("/api/v1/tokens", credentials)["access_token"]))


def target_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add --home and --url and what goes with them; the command gets one `target`."""

    @home_option
    @click.option("--url", help="A gateway elsewhere; the operator's password is then HOLDFAST_PASSWORD.")
    @click.option("--rabbitmq-management", help="With --url: RabbitMQ's management API, with user and password.")
    @click.option("--ledger", help="With --url: the payment provider, if it is not Stripe; its key is STRIPE_API_KEY.")
    @wraps(command)
    def wrapped(home: Path, url: str | None, rabbitmq_management: str | None, ledger: str | None, **rest: Any) -> Any:
        target = _elsewhere(url, rabbitmq_management, ledger) if url else _here(home)
        return command(target=target, **rest)

    return wrapped


@contextmanager
def told_unreachable() -> Iterator[None]:
    """Turn what a system that is down or dying raises into a line on standard error and exit code 4."""
    try:
        yield
    except (requests.RequestException, ApiError, StackError, TimeoutError) as error:
        click.echo(f"The system does not answer as it should: {error}", err=True)
        raise SystemExit(EXIT_UNREADABLE) from error


def _here(home: Path) -> Target:
    if existing_home(home) is None:
        no_stack(home)
    return target_of(Stack(home))


def target_of(stack: Stack) -> Target:
    """The system that a local stack runs."""
    stripe_key = os.environ.get("STRIPE_API_KEY")
    return Target(
        url=stack.urls.http("gateway"),
        operator_password=stack.credentials.operator_password,
        management_url=stack.urls.rabbitmq_management,
        ledger_url=None if stripe_key else stack.urls.http("sandbox"),
        ledger_key=stripe_key or SANDBOX_KEY,
        stack=stack,
    )


def _elsewhere(url: str, management: str | None, ledger: str | None) -> Target:
    password = os.environ.get("HOLDFAST_PASSWORD")
    if not password or not management:
        raise click.UsageError("--url needs --rabbitmq-management and the operator's password in HOLDFAST_PASSWORD")
    return Target(
        url=url.rstrip("/"),
        operator_password=password,
        management_url=management.rstrip("/"),
        ledger_url=ledger.rstrip("/") if ledger else None,
        ledger_key=os.environ.get("STRIPE_API_KEY") or SANDBOX_KEY,
    )
