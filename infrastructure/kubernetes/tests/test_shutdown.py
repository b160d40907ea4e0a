"""Rolling updates lose nothing: what Kubernetes waits is longer than what the processes take to end in good order."""

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
ROLES = {"service", "worker", "gateway"}  # the sandbox and Flower hold nothing that could be lost
# A payment's event asks the provider at most so often: create, confirm, look again, cancel or refund, each bounded.
CALLS = 6


def taken_seconds(name: str, role: str) -> float:
    """How long the process may take after SIGTERM."""
    if role == "service":
        # Importing it reads the environment.
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
    # Its sweeps are stopped at the signal, together with the events in flight.
    assert CALLS * ProviderSettings.stripe_timeout_seconds > sweeps.STOP_SECONDS
    return CALLS * ProviderSettings.stripe_timeout_seconds


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_a_process_is_given_the_time_it_needs_to_end(overlay: str) -> None:
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
def test_the_new_is_ready_before_the_old_goes(overlay: str) -> None:
    for each in of_kind(overlay, "Deployment"):
        if each["spec"]["template"]["metadata"]["labels"].get("role") in ROLES:
            strategy = each["spec"]["strategy"]
            if each["metadata"]["name"] == "bridge":  # two at once would send everything twice
                assert strategy == {"type": "Recreate"}
            else:
                assert strategy["rollingUpdate"] == {"maxSurge": 1, "maxUnavailable": 0}
