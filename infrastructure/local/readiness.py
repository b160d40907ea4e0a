"""Waits with a time-out."""

import socket
import time
from collections.abc import Callable
from typing import Any

import requests

from infrastructure.local.errors import StackError
from infrastructure.local.urls import HOST

_PAUSE_SECONDS = 0.2
_PROBE_SECONDS = 3


def wait_for(check: Callable[[], None], seconds: float, complaint: str) -> None:
    """Call `check` until it no longer raises; StackError with its last reason after the time-out."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            check()
        except StackError:
            raise  # the check reports a permanent failure
        except Exception as error:  # any error of a starting server
            if time.monotonic() > deadline:
                raise StackError(f"{complaint} within {seconds:.0f} s: {error}") from error
            time.sleep(_PAUSE_SECONDS)
        else:
            return


def holds_within(condition: Callable[[], bool], seconds: float, pause_seconds: float = 0.1) -> bool:
    """Poll until the condition holds; False after the time-out."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(pause_seconds)
    return True


def probe_http(port: int, path: str) -> None:
    """Raise requests.RequestException unless the path answers 2xx."""
    request_here("GET", f"http://{HOST}:{port}{path}", _PROBE_SECONDS).raise_for_status()


def request_here(method: str, url: str, timeout_seconds: float, **options: Any) -> requests.Response:
    """Send a request to this machine, ignoring proxies from the environment."""
    with requests.Session() as session:
        session.trust_env = False
        return session.request(method, url, timeout=timeout_seconds, **options)


def probe_port(port: int) -> None:
    """Raise OSError unless something listens."""
    socket.create_connection((HOST, port), timeout=_PROBE_SECONDS).close()
