"""Prometheus' configuration, from the process table: every process with metrics is scraped, with its name as the job.

The rules depend only on the job's name, so all installations use the same rules.
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
# Ports of containers: services and Flower, then processes with only metrics, then the broker's plug-in.
SERVICE_PORT, METRICS_PORT, RABBITMQ_PORT = 8000, 9000, 15692
# Only messages and consumers of each queue; all metrics of queues and connections would be a hundred times as many.
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
    """The metrics address of one process."""

    job: str
    host: str
    port: int
    path: str = METRICS
    params: tuple[tuple[str, tuple[str, ...]], ...] = ()


def measured() -> list[Process]:
    """Return the long-running Holdfast processes, with the port of their metrics."""
    return [line for line in PROCESSES if line.command and not line.is_job and line.port_offset is not None]


def native(host: str, port_base: int) -> list[Target]:
    """Return the targets of a stack on one machine."""
    return list(_targets(lambda _: host, lambda line: port_base + (line.port_offset or 0), port_base))


def containers() -> list[Target]:
    """Return the targets of an installation in which each process is a host name."""
    return list(_targets(lambda name: name, lambda line: METRICS_PORT if line.probe == METRICS else SERVICE_PORT, None))


def configuration(targets: list[Target], *, by_name: bool, interval_seconds: int) -> str:
    """Return the text of prometheus.yml; `by_name` resolves each host repeatedly, because it may have several
    addresses.
    """
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
    """Return all rules as a resource of the Prometheus operator."""
    groups = [(HERE / name).read_text(encoding="utf-8").partition("\ngroups:\n")[2] for name in RULES]
    return _RESOURCE + indent("\n".join(groups), "  ")


def _targets(host: Callable[[str], str], port: Callable[[Process], int], port_base: int | None) -> Iterator[Target]:
    for line in measured():
        yield Target(line.name, host(line.name), port(line))
    broker_port = RABBITMQ_PORT if port_base is None else port_base + RABBITMQ_PROMETHEUS_PORT_OFFSET
    broker = Target(RABBITMQ, host(RABBITMQ), broker_port)
    yield broker
    yield replace(broker, job=f"{RABBITMQ}-queues", path="/metrics/detailed", params=(("family", QUEUE_FAMILIES),))
