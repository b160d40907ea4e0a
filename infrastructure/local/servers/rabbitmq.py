"""RabbitMQ: separate nodes and their port mapper, with an account for each process and no guest.

Guarantee: a broker of the system is not affected: names, ports, cookie, plugins and data are the home's. The port
mapper (epmd) is a supervised process too, so that `down` ends it. Several nodes find each other by their configuration
when they first start, and by their data from then on.
"""

from pathlib import Path

from infrastructure.local.credentials import Credentials
from infrastructure.local.home import Home, write_private
from infrastructure.local.nodes import NODES, Node
from infrastructure.local.programs import Program, epmd_of
from infrastructure.local.readiness import request_here
from infrastructure.local.servers.cluster import assemble
from infrastructure.local.spec import Spec
from infrastructure.local.urls import HOST, Urls
from infrastructure.provision import rabbitmq as accounts
from infrastructure.rabbitmq.render import BrokerSettings, configuration

_READY_SECONDS = 3
# Without the first, a shell stays between the supervisor and the broker, and gets the signals.
_START = {"RABBITMQ_ALLOW_INPUT": "1", "RABBITMQ_SERVER_START_ARGS": "-noinput +B i"}
_ERLANG = "-start_epmd false -kernel inet_dist_use_interface {127,0,0,1}"
# The broker itself handles partial partitions; Erlang's own mechanism would cut further connections.
_CLUSTERED = f"{_ERLANG} -kernel prevent_overlapping_partitions false"


def specs(home: Home, program: Program, credentials: Credentials) -> list[Spec]:
    """Write the configuration, and return the specs of the port mapper and the nodes."""
    mapper = {"ERL_EPMD_PORT": str(home.port("epmd")), "ERL_EPMD_ADDRESS": HOST}
    environment = {**program.environment, "LC_ALL": "C.UTF-8", "HOME": str(home.data("rabbitmq")), **mapper}
    port_mapper = Spec(
        name="epmd",
        words=[str(epmd_of(program)), "-port", mapper["ERL_EPMD_PORT"], "-address", HOST],
        environment=environment,
    )
    return [port_mapper, *(_node(home, node, program, credentials, environment) for node in home.nodes)]


def ready(home: Home, credentials: Credentials, node: Node = NODES[0]) -> None:
    """Raise requests.RequestException unless the node serves, including its plugins."""
    base = Urls(home, credentials).rabbitmq_node(node)
    for check in ("local-alarms", f"port-listener/{home.port(node.name)}"):
        request_here("GET", f"{base}/api/health/checks/{check}", _READY_SECONDS).raise_for_status()


def provision(home: Home, credentials: Credentials) -> None:
    """Create each process's account, with its permissions. (The administrator's is in the configuration.)"""
    management = Urls(home, credentials).rabbitmq_node(home.nodes[0])
    if len(home.nodes) > 1:
        assemble(home, management)
    accounts.provision(management, credentials.brokers)


def _node(home: Home, node: Node, program: Program, credentials: Credentials, environment: dict[str, str]) -> Spec:
    data = home.data(node.name)
    data.mkdir(mode=0o700, exist_ok=True)
    _write_cookie(data, credentials.erlang_cookie)
    settings = BrokerSettings(
        listen_address=HOST,
        port=home.port(node.name),
        management_port=home.port_base + node.management_port,
        prometheus_port=home.port_base + node.prometheus_port,
        user=credentials.rabbitmq_user,
        password=credentials.rabbitmq_password,
    )
    names = [each.erlang_name for each in home.nodes] if len(home.nodes) > 1 else []
    for name, text in configuration(settings, names).items():
        write_private(data / name, text)
    return Spec(
        name=node.name,
        words=[str(program.executable)],
        environment={**environment, "HOME": str(data), **_broker_environment(home, node, data)},
        directory=str(data),
        stop_seconds=40,
    )


def _broker_environment(home: Home, node: Node, data: Path) -> dict[str, str]:
    return {
        "RABBITMQ_NODENAME": node.erlang_name,
        "RABBITMQ_NODE_PORT": str(home.port(node.name)),
        "RABBITMQ_DIST_PORT": str(home.port_base + node.distribution_port),
        "RABBITMQ_MNESIA_BASE": str(data / "data"),
        "RABBITMQ_LOG_BASE": str(data / "log"),
        "RABBITMQ_LOGS": "-",
        "RABBITMQ_CONFIG_FILE": str(data / "rabbitmq.conf"),
        "RABBITMQ_CONF_ENV_FILE": str(data / "no-such-file"),
        "RABBITMQ_ADVANCED_CONFIG_FILE": str(data / "advanced.config"),
        "RABBITMQ_ENABLED_PLUGINS_FILE": str(data / "enabled_plugins"),
        "RABBITMQ_GENERATED_CONFIG_DIR": str(data / "generated"),
        "RABBITMQ_PID_FILE": str(data / "broker.pid"),
        **_START,
        "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": _ERLANG if len(home.nodes) == 1 else _CLUSTERED,
    }


def _write_cookie(data: Path, cookie: str) -> None:
    path = data / ".erlang.cookie"
    if not path.exists():
        write_private(path, cookie)
        path.chmod(0o400)
