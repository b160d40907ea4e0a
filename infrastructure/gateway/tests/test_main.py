"""The gateway's files for containers."""

import subprocess
import sys
from pathlib import Path

import pytest

from infrastructure.local.fetch import ensure_servers


def write(directory: Path, *options: str) -> subprocess.CompletedProcess[str]:
    words = [sys.executable, "-m", "infrastructure.gateway", str(directory), *options]
    return subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.integration
def test_nginx_accepts_the_configuration_for_containers(tmp_path: Path) -> None:
    # Names of services resolve only in a cluster.
    written = write(tmp_path, "--state", str(tmp_path), "--upstream", "127.0.0.1:9", "--trusted-proxy", "10.0.0.0/16")
    assert written.returncode == 0, written.stderr
    nginx = ensure_servers(print)["gateway"]
    words = [str(nginx.executable), "-t", "-p", str(tmp_path), "-c", str(tmp_path / "nginx.conf")]
    checked = subprocess.run(words, capture_output=True, text=True, timeout=60, check=False, env=nginx.environment)
    assert "test is successful" in checked.stderr, checked.stderr
    assert "Dead letters" in (tmp_path / "docs.html").read_text(encoding="utf-8")


def test_services_are_resolved_by_their_names(tmp_path: Path) -> None:
    assert write(tmp_path).returncode == 0
    text = (tmp_path / "nginx.conf").read_text(encoding="utf-8")
    assert "server service-orders:8000 " in text
    assert "listen 0.0.0.0:8080 " in text
    assert "set_real_ip_from" not in text, "nobody is believed unless it is said who"


def test_an_invalid_network_is_rejected(tmp_path: Path) -> None:
    refused = write(tmp_path, "--trusted-proxy", "everybody; }")
    assert refused.returncode == 1
    assert "everybody" in refused.stderr
    assert not list(tmp_path.iterdir())
