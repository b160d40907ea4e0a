"""The value of every variable that the process table names, for one native stack.

Guarantee: a process gets what its line of the table lists or control.py adds, and PATH, HOME, LANG, TZ; nothing else.
A variable that the table lists and for which the stack has no value of its own is passed through from the caller's
environment. One that is not set there is left out: the process has its default.
"""

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from sys import executable

from infrastructure.database_roles import role_of_process
from infrastructure.local.control import CONTROL, NATIVE_VARIABLES
from infrastructure.local.credentials import Credentials
from infrastructure.local.home import Home
from infrastructure.local.urls import Urls
from infrastructure.privileges import broker_account, management_account
from infrastructure.processes import MAIL_CATCHER_SMTP_PORT_OFFSET, PROCESSES, Process

# Where a stack on one machine differs from the process's own default.
_NATIVE_DEFAULTS = {
    "WEBHOOK_ALLOWED_NETWORKS": "127.0.0.0/8,::1/128",  # receivers on this machine
}
# In front of what the caller sets: demo and load register customers from one address.
_NATIVE_ROUTE_RATES = "POST /api/v1/users=1000000/hour"
_STRIPE = "https://api.stripe.com"
_SANDBOX_KEY = "sk_test_sandbox"


def environment_of(line: Process, home: Home, credentials: Credentials) -> dict[str, str]:
    """Return the whole environment of a process."""
    passed_through = {name: value for name in variables(line) if (value := _setting(name))}
    return _common(home) | passed_through | stack_values(line, home, credentials, os.environ)


def _setting(name: str) -> str:
    value = os.environ.get(name) or _NATIVE_DEFAULTS.get(name, "")
    return f"{_NATIVE_ROUTE_RATES};{value}" if name == "RATE_LIMIT_ROUTES" else value


def stack_values(line: Process, home: Home, credentials: Credentials, caller: Mapping[str, str]) -> dict[str, str]:
    """Return the variables of a process that differ from stack to stack: ports, addresses, secrets."""
    values = _values(line, home, credentials, caller.get("STRIPE_API_KEY"), caller.get("SMTP_URL"))
    return {name: values[name]() for name in variables(line) if name in values}


def variables(line: Process) -> tuple[str, ...]:
    """Return the names of a native process's variables: those of the table, and those of native stacks only."""
    return (*line.environment, *NATIVE_VARIABLES.get(line.name, ()))


def _common(home: Home) -> dict[str, str]:
    return {
        "PATH": f"{Path(executable).parent}:{os.environ.get('PATH', '/usr/bin:/bin')}",
        "HOME": str(home.path),
        "LANG": "C.UTF-8",
        "TZ": "UTC",
    }


def _values(
    line: Process, home: Home, credentials: Credentials, stripe_key: str | None, smtp_url: str | None
) -> dict[str, Callable[[], str]]:
    urls = Urls(home, credentials)
    return {
        "SERVICE_PORT": lambda: str(home.port(line.name)),
        "METRICS_PORT": lambda: str(home.port(line.name)),
        "DATABASE_URL": lambda: urls.database_as(role_of_process(line, line.context), line.context),
        "MONGODB_URL": lambda: urls.documents(line.context),
        "RABBITMQ_URL": lambda: urls.broker(broker_account(line), first=PROCESSES.index(line)),
        "OUTBOX_DATABASE_URLS": lambda: urls.databases_of(line),
        "DATABASE_URLS": lambda: urls.databases_of(line),
        "METRICS_URLS": lambda: urls.metrics,
        "RABBITMQ_MANAGEMENT_URL": lambda: urls.rabbitmq_monitoring(management_account(line)),
        "FLOWER_BASIC_AUTH": lambda: urls.flower_account,
        "JWKS_URL": lambda: f"{urls.http('service-users')}/.well-known/jwks.json",
        "TOKEN_SIGNING_KEY": lambda: credentials.token_signing_key,
        "SEED_OPERATOR_PASSWORD": lambda: credentials.operator_password,
        "SEED_CUSTOMER_PASSWORD": lambda: credentials.customer_password,
        "SANDBOX_DATA": lambda: str(home.data("sandbox")),
        "CONTACT_TOKENS": lambda: credentials.contact_tokens,
        "USERS_URL": lambda: urls.http("service-users"),
        "SMTP_PORT": lambda: str(home.port_base + MAIL_CATCHER_SMTP_PORT_OFFSET),
        "SMTP_URL": lambda: smtp_url or urls.mail_catcher,
        "STACK_HOME": lambda: str(home.path),
        "LOCAL_CONTROL_URL": lambda: urls.http(CONTROL.name),
        "WEBHOOK_SECRET_KEYS": lambda: credentials.webhook_secret_keys,
        "STRIPE_API_KEY": lambda: stripe_key or _SANDBOX_KEY,
        "STRIPE_API_BASE": lambda: _STRIPE if stripe_key else urls.http("sandbox"),
    }
