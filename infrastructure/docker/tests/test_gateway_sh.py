"""The gateway's script, with fakes of nginx and the resolver that record their calls."""

import signal
import subprocess
import sys
import time
from pathlib import Path

from infrastructure.local.readiness import wait_for

SCRIPT = Path(__file__).parents[1] / "gateway.sh"
# Python, because a shell in the background cannot trap SIGQUIT; nginx can.
NGINX = f"""#!{sys.executable} -IS
import os, signal, sys
calls = open(os.environ["RECORD"] + "/calls", "a", buffering=1)
def end(*_):
    calls.write("ended\\n")
    sys.exit(0)
signal.signal(signal.SIGQUIT, end)
calls.write(" ".join(sys.argv[1:]) + "\\n")
while "reload" not in sys.argv:
    signal.pause()
"""
GETENT = """#!/bin/sh
cat "$RECORD/$2" 2>/dev/null || exit 2
"""


def test_new_addresses_reload_nginx_and_missing_ones_are_ignored(tmp_path: Path) -> None:
    for name, text in (("nginx", NGINX), ("getent", GETENT)):
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o755)
    configuration = tmp_path / "nginx.conf"
    configuration.write_text("upstream a {\n    server service-a:8000 max_fails=0;\n    server service-a:8000;\n}\n")
    (tmp_path / "service-a").write_text("10.0.0.1 STREAM\n10.0.0.1 DGRAM\n")
    calls = tmp_path / "calls"

    def lines() -> list[str]:
        return calls.read_text().splitlines() if calls.exists() else []

    def reloads(count: int) -> None:
        assert sum("reload" in line for line in lines()) == count

    environment = {"PATH": f"{tmp_path}:/usr/bin:/bin", "RECORD": str(tmp_path)}
    process = subprocess.Popen([str(SCRIPT), str(configuration), "0.05"], env=environment)
    try:
        wait_for(lambda: _assert(len(lines()) == 1), 60, "nginx was not started")
        (tmp_path / "service-a").write_text("10.0.0.1 STREAM\n10.0.0.2 STREAM\n")
        wait_for(lambda: reloads(1), 60, "no reload")
        (tmp_path / "service-a").unlink()  # the last container has stopped
        time.sleep(0.5)
        reloads(1)
        (tmp_path / "service-a").write_text("10.0.0.3 STREAM\n")
        wait_for(lambda: reloads(2), 60, "no reload")
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0
        assert lines()[-1] == "ended"
        reloads(2)
    finally:
        process.kill()
        process.wait()


def _assert(condition: bool) -> None:
    assert condition
