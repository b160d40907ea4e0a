"""Scrape targets: every long-running process, under its own name, in every installation."""

from __future__ import annotations

from typing import Any

import yaml

from infrastructure.processes import PROCESSES
from infrastructure.prometheus.__main__ import CONTAINERS_FILE, KUBERNETES_FILE
from infrastructure.prometheus.scrape import (
    HERE,
    QUEUE_FAMILIES,
    RULES,
    configuration,
    containers,
    kubernetes_rules,
    measured,
    native,
)


def read(text: str) -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load(text)
    return loaded


def test_every_long_running_process_is_a_job() -> None:
    jobs = {target.job for target in containers()}
    ours = {line.name for line in PROCESSES if line.command and not line.is_job}
    assert jobs == ours | {"rabbitmq", "rabbitmq-queues"}
    assert {line.name for line in measured()} == ours


def test_a_native_stack_is_scraped_on_its_own_ports() -> None:
    found = read(configuration(native("127.0.0.1", 9500), by_name=False, interval_seconds=5))
    targets = {job["job_name"]: job["static_configs"][0]["targets"] for job in found["scrape_configs"]}
    assert targets["service-orders"] == ["127.0.0.1:9503"]
    assert targets["relay-2"] == ["127.0.0.1:9531"]
    assert targets["rabbitmq"] == targets["rabbitmq-queues"] == ["127.0.0.1:9518"]
    assert len({target for each in targets.values() for target in each}) == len(targets) - 1
    assert found["global"]["scrape_timeout"] == "5s"


def test_only_used_queue_metrics_are_scraped() -> None:
    found = read(CONTAINERS_FILE.read_text(encoding="utf-8"))
    [queues] = [job for job in found["scrape_configs"] if job["job_name"] == "rabbitmq-queues"]
    assert queues["metrics_path"] == "/metrics/detailed"
    assert queues["params"] == {"family": ["queue_coarse_metrics", "queue_consumer_count"]}


def test_the_file_for_containers_is_current() -> None:
    text = CONTAINERS_FILE.read_text(encoding="utf-8")
    assert text == configuration(containers(), by_name=True, interval_seconds=15)
    found = read(text)
    assert found["rule_files"] == list(RULES)
    assert all((HERE / name).is_file() for name in RULES)
    names = {job["job_name"]: job["dns_sd_configs"][0] for job in found["scrape_configs"]}
    assert (names["service-orders"]["port"], names["worker-orders"]["port"], names["rabbitmq"]["port"]) == (
        8000,
        9000,
        15692,
    )


def test_kubernetes_has_the_same_rules_and_broker_metrics() -> None:
    text = KUBERNETES_FILE.read_text(encoding="utf-8")
    assert text == kubernetes_rules()
    groups = [group for name in RULES for group in read((HERE / name).read_text(encoding="utf-8"))["groups"]]
    assert read(text)["spec"]["groups"] == groups
    assert len({group["name"] for group in groups}) == len(groups), "a name that comes twice is refused"
    monitors = yaml.safe_load_all((KUBERNETES_FILE.parent / "monitors.yaml").read_text(encoding="utf-8"))
    [broker] = [each for each in monitors if each["kind"] == "PodMonitor"]
    assert broker["spec"]["podMetricsEndpoints"][1]["params"] == {"family": list(QUEUE_FAMILIES)}
