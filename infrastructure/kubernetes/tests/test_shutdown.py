"""Rolling updates lose nothing: Kubernetes waits longer than the processes take to shut down gracefully."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from common.resilience import sweeps
from infrastructure.kubernetes.tests.overlays import OVERLAYS, main_container, of_kind, pod_of
from services.payments.provider import ProviderSettings
from workers.relay import main as relay

ROOT = Path(__file__).parents[3]
MARGIN_SECONDS = 5
ROLES = {"service", "worker", "gateway"}  # the sandbox and Flower have nothing to lose
# The provider is called at most this often per event: create, confirm, retrieve, cancel or refund, each bounded.
CALLS = 6


def taken_seconds(name: str, role: str) -> float:
    """The time that the process may take after SIGTERM."""
    if role == "service":
        # The import reads the environment.
        text = (ROOT / "common" / "web" / "gunicorn.py").read_text(encoding="utf-8")
        found = re.search(r"^graceful_timeout = (\d+)", text, re.MULTILINE)
        assert found
        return float(found[1])
    if role == "gateway":
        text = (ROOT / "infrastructure" / "gateway" / "nginx.conf.j2").read_text(encoding="utf-8")
        found = re.search(r"worker_shutdown_timeout (\d+)s;", text)
        assert found
        return float(found[1])
    if name == "relay":
        return relay.STOP_SECONDS
    if name == "scheduler":
        return sweeps.STOP_SECONDS
    # Its sweeps stop at the signal, like the events in flight.
    assert CALLS * ProviderSettings.stripe_timeout_seconds > sweeps.STOP_SECONDS
    return CALLS * ProviderSettings.stripe_timeout_seconds


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_the_grace_period_exceeds_a_processs_shutdown_time(overlay: str) -> None:
    for each in of_kind(overlay, "Deployment"):
        role = each["spec"]["template"]["metadata"]["labels"].get("role")
        if role not in ROLES:
            continue
        name = each["metadata"]["name"]
        pause = main_container(each).get("lifecycle", {}).get("preStop", {}).get("sleep", {}).get("seconds", 0)
        given = pod_of(each)["terminationGracePeriodSeconds"]
        assert given >= pause + taken_seconds(name, role) + MARGIN_SECONDS, name
        # A replica keeps serving until no traffic is routed to it.
        assert bool(pause) == (role in {"service", "gateway"}), name


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_a_new_replica_is_ready_before_an_old_one_stops(overlay: str) -> None:
    for each in of_kind(overlay, "Deployment"):
        if each["spec"]["template"]["metadata"]["labels"].get("role") in ROLES:
            strategy = each["spec"]["strategy"]
            if each["metadata"]["name"] == "bridge":  # two at once would send every event twice
                assert strategy == {"type": "Recreate"}
            else:
                assert strategy["rollingUpdate"] == {"maxSurge": 1, "maxUnavailable": 0}
