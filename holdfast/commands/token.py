"""holdfast token: a bearer token of one of the local stack's seeded accounts."""

import os
from pathlib import Path

import click
import requests

from holdfast.commands.options import EXIT_FAILED, home_option
from holdfast.target import HTTP_URL, running_stack
from infrastructure.local.readiness import probe_port, request_here
from infrastructure.local.stack import Stack

_SECONDS = 15


def _token_url(stack: Stack) -> str:
    """The gateway; with --servers-only the users service that was started by hand, if it answers."""
    for name in ("gateway", "service-users"):
        try:
            probe_port(stack.home.port(name))
        except OSError:
            continue
        return stack.urls.http(name)
    return stack.urls.http("gateway")


@click.command()
@home_option
@click.option("--role", type=click.Choice(["operator", "customer"]), default="operator", show_default=True)
@click.option("--url", type=HTTP_URL, help="Another gateway than the home's; the password is then HOLDFAST_PASSWORD.")
def token(home: Path, role: str, url: str | None) -> None:
    """Print a bearer token, and nothing else.

    For example: curl -H "Authorization: Bearer $(holdfast token)" ...

    Exit codes: 0 printed; 1 rejected, or the gateway cannot be reached; 3 no stack runs in this home.
    """
    elsewhere = url is not None
    password = os.environ.get("HOLDFAST_PASSWORD") if elsewhere else None
    if password is None:
        stack = running_stack(home)
        password = getattr(stack.credentials, f"{role}_password")
        url = url or _token_url(stack)
    try:
        address = f"{url}/api/v1/tokens"
        body = {"username": role, "password": password}
        reply = (
            requests.post(address, json=body, timeout=_SECONDS)
            if elsewhere
            else request_here("POST", address, _SECONDS, json=body)
        )
    except requests.RequestException as error:
        click.echo(f"{url} cannot be reached: {error}", err=True)
        raise SystemExit(EXIT_FAILED) from error
    if not reply.ok:
        click.echo(f"{url} answered {reply.status_code}: {reply.text}", err=True)
        raise SystemExit(EXIT_FAILED)
    click.echo(reply.json()["access_token"])
