"""RabbitMQ: a broker of its own Erlang node and port mapper, with an account for each process and no guest.

Guarantee: nothing of a broker that the system runs is touched: names, ports, cookie, plugins and data
are the home's. The port mapper (epmd) is a supervised process too, so that `down` ends it.
"""

from pathlib import Path

from infrastructure.local.credentials import Credentials
from infrastructure.local.home import Home, write_private
from infrastructure.local.programs import Program, epmd_of
from infrastructure.local.readiness import request_here
from infrastructure.local.spec import Spec
from infrastructure.local.urls import HOST, Urls
from infrastructure.processes import (
    RABBITMQ_DISTRIBUTION_PORT_OFFSET,
    RABBITMQ_MANAGEMENT_PORT_OFFSET,
    RABBITMQ_PROMETHEUS_PORT_OFFSET,
)
from infrastructure.provision import rabbitmq as accounts
from infrastructure.rabbitmq.render import BrokerSettings, configuration

_READY_SECONDS = 3
# By this name the node finds its data again, whatever the machine is called meanwhile.
_NODE = "holdfast@localhost"


def specs(home: Home, program: Program, credentials: Credentials) -> list[Spec]:
    """Write the configuration, and return how the port mapper and the broker are run."""
    data = home.data("rabbitmq")
    data.mkdir(mode=0o700, exist_ok=True)
    _write_cookie(data, credentials.erlang_cookie)
    settings = BrokerSettings(
        listen_address=HOST,
        port=home.port("rabbitmq"),
        management_port=home.port_base + RABBITMQ_MANAGEMENT_PORT_OFFSET,
        prometheus_port=home.port_base + RABBITMQ_PROMETHEUS_PORT_OFFSET,
        user=credentials.rabbitmq_user,
        password=credentials.rabbitmq_password,
    )
    for name, text in configuration(settings).items():
        write_private(data / name, text)
    mapper = {"ERL_EPMD_PORT": str(home.port("epmd")), "ERL_EPMD_ADDRESS": HOST}
    environment = {**program.environment, "LC_ALL": "C.UTF-8", "HOME": str(data), **mapper}
    port_mapper = Spec(
        name="epmd",
        words=[str(epmd_of(program)), "-port", mapper["ERL_EPMD_PORT"], "-address", HOST],
        environment=environment,
    )
    broker = Spec(
        name="rabbitmq",
        words=[str(program.executable)],
        environment={**environment, **_broker_environment(home, data)},
        directory=str(data),
        stop_seconds=40,
    )
    return [port_mapper, broker]


def ready(home: Home, credentials: Credentials) -> None:
    """Raise requests.RequestException unless the broker serves, its plugins included."""
    base = Urls(home, credentials).rabbitmq_management
    for check in ("local-alarms", f"port-listener/{home.port('rabbitmq')}"):
        request_here("GET", f"{base}/api/health/checks/{check}", _READY_SECONDS).raise_for_status()


def provision(home: Home, credentials: Credentials) -> None:
    """Make each process's account, with its rights. (The administrator's comes from the configuration.)"""
    accounts.provision(Urls(home, credentials).rabbitmq_management, credentials.brokers)


def _broker_environment(home: Home, data: Path) -> dict[str, str]:
    return {
        "RABBITMQ_NODENAME": _NODE,
        "RABBITMQ_NODE_PORT": str(home.port("rabbitmq")),
        "RABBITMQ_DIST_PORT": str(home.port_base + RABBITMQ_DISTRIBUTION_PORT_OFFSET),
        "RABBITMQ_MNESIA_BASE": str(data / "data"),
        "RABBITMQ_LOG_BASE": str(data / "log"),
        "RABBITMQ_LOGS": "-",
        "RABBITMQ_CONFIG_FILE": str(data / "rabbitmq.conf"),
        "RABBITMQ_CONF_ENV_FILE": str(data / "no-such-file"),
        "RABBITMQ_ADVANCED_CONFIG_FILE": str(data / "advanced.config"),
        "RABBITMQ_ENABLED_PLUGINS_FILE": str(data / "enabled_plugins"),
        "RABBITMQ_GENERATED_CONFIG_DIR": str(data / "generated"),
        "RABBITMQ_PID_FILE": str(data / "broker.pid"),
        # Without this a shell stays between the supervisor and the broker, and is killed in its place.
        "RABBITMQ_ALLOW_INPUT": "1",
        "RABBITMQ_SERVER_START_ARGS": "-noinput +B i",
        "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "-start_epmd false -kernel inet_dist_use_interface {127,0,0,1}",
    }


def _write_cookie(data: Path, cookie: str) -> None:
    path = data / ".erlang.cookie"
    if not path.exists():
        write_private(path, cookie)
        path.chmod(0o400)
