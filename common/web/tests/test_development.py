import os
import subprocess
import sys
import time
import urllib.request

from common.tests.ports import free_port

_PROGRAM = """
from common.web.development import serve_for_development
from common.settings import HttpSettings, load
from common.tests.sample_service import make_app
serve_for_development(make_app(), load(HttpSettings))
"""


def test_an_app_is_served_at_the_address_of_its_settings() -> None:
    port = free_port()
    environment = {"PATH": os.environ["PATH"], "SERVICE_PORT": str(port)}
    process = subprocess.Popen([sys.executable, "-c", _PROGRAM], env=environment, stdout=subprocess.DEVNULL)
    try:
        assert _status(f"http://127.0.0.1:{port}/livez") == 200
    finally:
        process.kill()
        process.wait(timeout=60)


def _status(url: str) -> int:
    deadline = time.monotonic() + 60
    while True:
        try:
            with urllib.request.urlopen(url, timeout=60) as reply:
                return int(reply.status)
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)
