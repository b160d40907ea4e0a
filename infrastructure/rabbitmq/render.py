"""The broker's configuration files, filled in for one place to run.

The values come from the caller; the files beside this module are the only source of settings.
"""

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


def configuration(settings: BrokerSettings) -> dict[str, str]:
    """Return the text of each file by its name. `rabbitmq.conf` holds the account's password."""
    own = (_HERE / "rabbitmq.conf").read_text(encoding="utf-8").format(**asdict(settings))
    return {
        "rabbitmq.conf": own + "\n" + (_HERE / "shared.conf").read_text(encoding="utf-8"),
        "advanced.config": (_HERE / "advanced.config").read_text(encoding="utf-8"),
        "enabled_plugins": (_HERE / "enabled_plugins").read_text(encoding="utf-8"),
    }
