"""The control process: `python -m holdfast.control.main`, started by `holdfast up` in a local stack only."""

from __future__ import annotations

import signal
import socket
import sys
from dataclasses import dataclass, replace
from pathlib import Path

import uvicorn

from common.observability.logs import configure_logging
from common.security.jwks import RemoteKeys
from common.security.tokens import Verifier
from common.setting_checks import HTTP_URL, PORT
from common.settings import LogSettings, load, setting
from holdfast.control.api import Resources, create_app
from holdfast.control.audit_run import AuditRun
from holdfast.control.faults import Faults
from holdfast.control.injection import Injection
from holdfast.target import target_of
from infrastructure.local.stack import Stack
from infrastructure.local.urls import HOST

NAME = "control"
GRACEFUL_SECONDS = 3


@dataclass(frozen=True, kw_only=True)
class Settings(LogSettings):
    """The settings of the control process. It always listens on the loopback address."""

    service_port: int = setting(
        "SERVICE_PORT", "int", default=8000, check=PORT, meaning="Port that the service listens on."
    )
    jwks_url: str = setting(
        "JWKS_URL", check=HTTP_URL, meaning="Where the users service publishes the keys that verify tokens."
    )
    stack_home: str = setting("STACK_HOME", meaning="Directory of the local stack that the control process serves.")
    stripe_api_key: str = setting("STRIPE_API_KEY", meaning="Key of the payment provider, whose ledger an audit reads.")
    stripe_api_base: str = setting(
        "STRIPE_API_BASE", check=HTTP_URL, meaning="Base address of the payment provider's API."
    )


def main() -> int:
    """Serve until SIGTERM, then undo the active fault."""
    settings = load(Settings)
    configure_logging(NAME, settings.log_level)
    stack = Stack(Path(settings.stack_home))
    sandbox = stack.urls.http("sandbox")
    target = replace(target_of(stack), ledger_key=settings.stripe_api_key, ledger_url=settings.stripe_api_base)
    faults = Faults(stack.home, sandbox if settings.stripe_api_base == sandbox else None)
    injection = Injection(faults, stack.home.data(NAME))
    app = create_app(Resources(faults, injection, AuditRun(target), Verifier(RemoteKeys(settings.jwks_url))))
    config = uvicorn.Config(
        app, log_config=None, access_log=False, server_header=False, proxy_headers=False, http="h11", ws="none",
        timeout_graceful_shutdown=GRACEFUL_SECONDS,
    )  # fmt: skip
    # uvicorn raises the signal again at its end; then it must not kill the process before the fault is undone.
    for each in (signal.SIGTERM, signal.SIGINT):
        signal.signal(each, lambda *_: None)
    try:
        uvicorn.Server(config).run(sockets=[socket.create_server((HOST, settings.service_port))])
    finally:
        injection.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
