"""The target system of a command: a local stack's home, or a gateway's URL with further addresses."""

from __future__ import annotations

import os
import uuid
from contextlib import contextmanager
from dataclasses import dataclass
from functools import wraps
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import click
import requests

from holdfast.client import ApiError, Client
from holdfast.commands.options import home_option, no_stack
from infrastructure.local.errors import StackError
from infrastructure.local.home import existing_home
from infrastructure.local.readiness import probe_port
from infrastructure.local.stack import Stack

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

SANDBOX_KEY = "sk_test_sandbox"
EXIT_UNREADABLE = 4
OPERATOR = "operator"


@dataclass(frozen=True)
class Target:
    """The gateway, the operator's password, and the other sources. `stack` is None for a remote system."""

    url: str
    operator_password: str
    management_url: str
    ledger_url: str | None
    ledger_key: str
    stack: Stack | None = None

    def anyone(self, *, patient: bool = False) -> Client:
        """A client without a token."""
        return Client(self.url, patient=patient)

    def operator(self, *, patient: bool = False) -> Client:
        """A client that acts as the operator."""
        return self.client_of({"username": OPERATOR, "password": self.operator_password}, patient=patient)

    def client_of(self, credentials: dict[str, str], *, patient: bool = False) -> Client:
        """A client with these credentials (a body for POST /tokens)."""
        return Client(self.url, lambda: self.anyone(patient=patient).token(credentials), patient=patient)

    def register(self, prefix: str, *, patient: bool = False) -> tuple[str, dict[str, str]]:
        """Register a customer with a random name; returns the id and the credentials."""
        name = f"{prefix}-{uuid.uuid4().hex[:10]}"
        body = {"username": name, "email": f"{name}@example.com"}
        user = self.anyone(patient=patient).post("/api/v1/users", body)
        return user["id"], {"api_key": user["api_key"]}

    def list_product(self, sku: str, name: str, on_hand: int) -> None:
        """List a product, unless it is listed already."""
        body = {"sku": sku, "name": name, "price": {"amount": 790, "currency": "usd"}, "on_hand": on_hand}
        try:
            self.operator(patient=True).post("/api/v1/products", body)
        except ApiError as error:
            if error.status != requests.codes.conflict:
                raise


class _HttpUrl(click.ParamType[str]):
    """A valid URL without a trailing slash."""

    name = "url"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        try:
            parts = urlsplit(value)
            valid = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
        except ValueError:  # a bad port, or a bad IPv6 address
            valid = False
        return value.rstrip("/") if valid else self.fail("expected an address like http://127.0.0.1:8000", param, ctx)


HTTP_URL = _HttpUrl()


def target_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add --home, --url and related options; the command gets one `target`."""

    @home_option
    @click.option("--url", type=HTTP_URL, help="A remote gateway; the operator's password is then HOLDFAST_PASSWORD.")
    @click.option(
        "--rabbitmq-management",
        type=HTTP_URL,
        envvar="HOLDFAST_RABBITMQ_MANAGEMENT",
        show_envvar=True,
        help="With --url: RabbitMQ's management API, with user and password.",
    )
    @click.option(
        "--ledger",
        type=HTTP_URL,
        help="With --url: the payment provider, if it is not Stripe; its key is STRIPE_API_KEY.",
    )
    @wraps(command)
    def wrapped(home: Path, url: str | None, rabbitmq_management: str | None, ledger: str | None, **rest: Any) -> Any:
        target = _elsewhere(url, rabbitmq_management, ledger) if url else _here(home)
        return command(target=target, **rest)

    return wrapped


@contextmanager
def report_unreachable() -> Iterator[None]:
    """Turn errors of a system that is down or stopping into a line on standard error and exit code 4."""
    try:
        yield
    except (requests.RequestException, ApiError, StackError, TimeoutError) as error:
        click.echo(f"The system does not answer: {error}", err=True)
        raise SystemExit(EXIT_UNREADABLE) from error


def running_stack(home: Path) -> Stack:
    """The stack of that home; exits with code 3 if it is down."""
    if existing_home(home) is None:
        no_stack(home)
    stack = Stack(home)
    if not stack.is_running:
        try:  # its supervisor may have died; the processes may still answer
            probe_port(stack.home.port("gateway"))
        except OSError:
            no_stack(home)
    return stack


def _here(home: Path) -> Target:
    return target_of(running_stack(home))


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
        raise click.UsageError(
            "--url needs --rabbitmq-management (or HOLDFAST_RABBITMQ_MANAGEMENT) and the operator's password in "
            "HOLDFAST_PASSWORD"
        )
    return Target(
        url=url,
        operator_password=password,
        management_url=management,
        ledger_url=ledger,
        ledger_key=os.environ.get("STRIPE_API_KEY") or SANDBOX_KEY,
    )
