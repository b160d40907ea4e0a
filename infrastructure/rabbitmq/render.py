"""Renders the broker's configuration files for one installation.

The values come from the caller; the templates next to this module are the only source of settings.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

_HERE = Path(__file__).parent


@dataclass(frozen=True, slots=True)
class BrokerSettings:
    """The parameters of an installation."""

    listen_address: str
    port: int
    management_port: int
    prometheus_port: int
    user: str
    password: str


def configuration(settings: BrokerSettings, cluster: Sequence[str] = ()) -> dict[str, str]:
    """Return the text of each file by its name. `rabbitmq.conf` contains the account's password.

    `cluster` lists the Erlang names of all nodes of a cluster.
    """
    parts = [_text("rabbitmq.conf").format(**asdict(settings)), _text("shared.conf")]
    if cluster:
        names = [f"cluster_formation.classic_config.nodes.{number} = {name}" for number, name in enumerate(cluster, 1)]
        parts.append(_text("cluster.conf") + "\n".join(names) + "\n")
    return {
        "rabbitmq.conf": "\n".join(parts),
        "advanced.config": _text("advanced.config"),
        "enabled_plugins": _text("enabled_plugins"),
    }


def _text(name: str) -> str:
    return (_HERE / name).read_text(encoding="utf-8")
