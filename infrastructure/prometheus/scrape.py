"""Prometheus' configuration, from the process table: whatever shows metrics is scraped, under its own name as the job.

The rules rely on the job's name and on nothing else that an installation adds, so the same rules serve all of them.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from textwrap import indent

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from infrastructure.processes import PROCESSES, RABBITMQ_PROMETHEUS_PORT_OFFSET, Process

HERE = Path(__file__).parent
RULES = ("recording.yaml", "alerts.yaml")
METRICS = "/metrics"
RABBITMQ = "rabbitmq"
# Where containers listen: services and Flower, then those that serve nothing but metrics, then the broker's plug-in.
SERVICE_PORT, METRICS_PORT, RABBITMQ_PORT = 8000, 9000, 15692
# Of each queue its messages and consumers; all that it tells of queues and connections is a hundred times as much.
QUEUE_FAMILIES = ("queue_coarse_metrics", "queue_consumer_count")
_RESOURCE = """\
# Written by `python -m infrastructure.prometheus files` from the rules in infrastructure/prometheus.
apiVersion: monitoring.coreos.com/v1
kind: PrometheusRule
metadata:
  name: holdfast
  labels: {tier: app}
spec:
  groups:
"""


@dataclass(frozen=True, slots=True)
class Target:
    """Where one process shows its metrics."""

    job: str
    host: str
    port: int
    path: str = METRICS
    params: tuple[tuple[str, tuple[str, ...]], ...] = ()


def measured() -> list[Process]:
    """Return the processes of ours that show metrics: all that stay, on the port that they are asked on."""
    return [line for line in PROCESSES if line.command and not line.is_job and line.port_offset is not None]


def native(host: str, port_base: int) -> list[Target]:
    """Return the targets of a stack on one machine."""
    return list(_targets(lambda _: host, lambda line: port_base + (line.port_offset or 0), port_base))


def containers() -> list[Target]:
    """Return the targets where each process is a host name."""
    return list(_targets(lambda name: name, lambda line: METRICS_PORT if line.probe == METRICS else SERVICE_PORT, None))


def configuration(targets: list[Target], *, by_name: bool, interval_seconds: int) -> str:
    """Return the text of prometheus.yml; `by_name` looks each host up again and again, for it may be several."""
    environment = Environment(
        loader=FileSystemLoader(HERE),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,  # noqa: S701 - this is no HTML
    )
    template = environment.get_template("prometheus.yml.j2")
    return template.render(targets=targets, by_name=by_name, interval_seconds=interval_seconds)


def kubernetes_rules() -> str:
    """Return all rules as the resource that the Prometheus operator takes."""
    groups = [(HERE / name).read_text(encoding="utf-8").partition("\ngroups:\n")[2] for name in RULES]
    return _RESOURCE + indent("\n".join(groups), "  ")


def _targets(host: Callable[[str], str], port: Callable[[Process], int], port_base: int | None) -> Iterator[Target]:
    for line in measured():
        yield Target(line.name, host(line.name), port(line))
    broker_port = RABBITMQ_PORT if port_base is None else port_base + RABBITMQ_PROMETHEUS_PORT_OFFSET
    broker = Target(RABBITMQ, host(RABBITMQ), broker_port)
    yield broker
    yield replace(broker, job=f"{RABBITMQ}-queues", path="/metrics/detailed", params=(("family", QUEUE_FAMILIES),))
