"""The gateway on this machine: nginx in the foreground, as the caller, with all its files in the home."""

import os
import sys

from infrastructure.gateway.render import GatewaySettings, Limits, nginx_configuration, write_pages
from infrastructure.gateway.routes import SERVICES
from infrastructure.local.errors import StackError
from infrastructure.local.home import REPOSITORY, Home, write_private
from infrastructure.local.programs import Program
from infrastructure.local.spec import Spec
from infrastructure.local.urls import HOST

# nginx stops at once on SIGTERM; all other processes finish their work first.
_GRACEFUL = (sys.executable, "-m", "infrastructure.local.graceful")


def specs(home: Home, program: Program, limits: Limits | None = None) -> list[Spec]:
    """Write the configuration, and return how nginx is run."""
    data = home.data("gateway")
    data.mkdir(mode=0o700, exist_ok=True)
    page = data / "docs.html"
    configuration = data / "nginx.conf"
    settings = GatewaySettings(
        listen_address=HOST,
        listen_port=home.port("gateway"),
        upstreams={name: f"{HOST}:{home.port(f'service-{name}')}" for name in SERVICES},
        state_directory=str(data),
        docs_page=str(page),
        run_as="root" if os.geteuid() == 0 else "",
        limits=limits or Limits(),
    )
    try:
        write_private(configuration, nginx_configuration(settings))
    except ValueError as error:
        raise StackError(str(error)) from error
    write_pages(settings, write_private)
    return [
        Spec(
            name="gateway",
            words=[*_GRACEFUL, str(program.executable), "-p", str(data), "-c", str(configuration), "-g", "daemon off;"],
            environment={**program.environment, "PYTHONPATH": str(REPOSITORY)},
            directory=str(data),
            stop_signal="QUIT",  # the supervisor signals the whole group, including nginx itself
            stop_seconds=15,
        )
    ]
