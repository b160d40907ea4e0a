"""The sandbox as a real process on a free port, for the tests of this and other packages."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import requests
import stripe

from common.tests.ports import free_port

START_SECONDS = 60.0
STOP_SECONDS = 60.0
KEY = "sk_test_sandbox"


class SandboxProcess:
    """A sandbox that a test starts, stops and kills; restarts keep its directory and port."""

    def __init__(self, directory: Path, **environment: str) -> None:
        self.directory = directory
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.log = directory.with_suffix(".log")
        self._environment = environment
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> "SandboxProcess":
        environment = {
            "PATH": os.environ["PATH"],
            "SERVICE_PORT": str(self.port),
            "SANDBOX_DATA": str(self.directory),
            "LOG_LEVEL": "INFO",
            **self._environment,
        }
        with self.log.open("ab") as log:
            command = [sys.executable, "-m", "infrastructure.sandbox.main"]
            self._process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
        deadline = time.monotonic() + START_SECONDS
        while not self.answers():
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise AssertionError(f"the sandbox did not start: {self.log.read_text()}")
            time.sleep(0.05)
        return self

    def answers(self) -> bool:
        try:
            return requests.get(f"{self.url}/livez", timeout=60).ok
        except requests.RequestException:
            return False

    def terminate(self) -> int:
        """Stop it gracefully; returns the exit code."""
        self.signal(signal.SIGTERM)
        return self.wait()

    def kill(self) -> None:
        self.signal(signal.SIGKILL)
        self.wait()

    def signal(self, number: int) -> None:
        assert self._process is not None
        self._process.send_signal(number)

    def wait(self) -> int:
        assert self._process is not None
        return self._process.wait(timeout=STOP_SECONDS)

    def close(self) -> None:
        """Kill it if it still runs."""
        if self._process is not None and self._process.poll() is None:
            self.kill()

    def client(self, *, retries: int = 0, key: str = KEY, seconds: float = 60.0) -> stripe.StripeClient:
        return stripe.StripeClient(
            key,
            base_addresses={"api": self.url},
            max_network_retries=retries,
            http_client=stripe.RequestsClient(timeout=seconds),
        )

    def post(self, path: str, body: Any = None, **headers: str) -> requests.Response:
        """A raw form POST, for requests that Stripe's client never sends."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        given = {"Content-Type": "application/x-www-form-urlencoded", "Authorization": f"Bearer {KEY}", **named}
        return requests.post(f"{self.url}{path}", data=body, headers=given, timeout=60)

    def get(self, path: str) -> requests.Response:
        return requests.get(f"{self.url}{path}", headers={"Authorization": f"Bearer {KEY}"}, timeout=60)

    def set_faults(self, *faults: dict[str, Any]) -> None:
        answer = requests.put(f"{self.url}/faults", json=list(faults), timeout=60)
        assert answer.status_code == 200, answer.text

    def logged(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.log.read_text().splitlines()]


def intent_of(**fields: Any) -> Any:
    """The parameters of an ordinary PaymentIntent, with some changed."""
    return {"amount": 1999, "currency": "usd", "payment_method": "pm_card_visa", **fields}
