"""The broker's configuration files, filled in for one place to run.

The values come from the caller; the files beside this module are the only source of settings.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

_HERE = Path(__file__).parent


@dataclass(frozen=True, slots=True)
class BrokerSettings:
    """What differs from one installation to the next."""

    listen_address: str
    port: int
    management_port: int
    prometheus_port: int
    user: str
    password: str


def configuration(settings: BrokerSettings, cluster: Sequence[str] = ()) -> dict[str, str]:
    """Return the text of each file by its name. `rabbitmq.conf` holds the account's password.

    `cluster` names all nodes, by their Erlang names, where there are several.
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
