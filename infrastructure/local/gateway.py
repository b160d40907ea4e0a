"""The gateway on this machine: nginx in the foreground, as the caller, with all its files in the home."""

from infrastructure.local.home import Home
from infrastructure.local.programs import Program
from infrastructure.local.spec import Spec


def specs(home: Home, program: Program) -> list[Spec]:
    """Write the configuration, and return how nginx is run."""
    data = home.data("gateway")
    data.mkdir(mode=0o700, exist_ok=True)
    configuration = data / "nginx.conf"
    return [
        Spec(
            name="gateway",
            words=[str(program.executable), "-p", str(data), "-c", str(configuration), "-g", "daemon off;"],
            environment=program.environment,
            directory=str(data),
            stop_signal="QUIT",
            stop_seconds=15,
        )
    ]
