"""The proxy through Toxiproxy's API: a real process between a real client and a real server."""

from __future__ import annotations

import random
import socket
import socketserver
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest
import requests

from chaos_tests.actions.evidence import wait_until
from common.tests.ports import free_port

if TYPE_CHECKING:
    from collections.abc import Iterator

SECONDS = 60


class Echo(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        while data := self.request.recv(4096):
            self.request.sendall(data)


class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True


@pytest.fixture(scope="module")
def api() -> Iterator[str]:
    words = [sys.executable, "-m", "chaos_tests.proxy.main", "--port", str(free_port())]
    process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    assert process.stdout is not None
    line = process.stdout.readline()
    yield f"http://{line.split()[-1]}"
    process.kill()
    process.wait()
    process.stdout.close()


@pytest.fixture
def proxy(api: str) -> Iterator[tuple[str, int]]:
    """The proxy's URL at the API and its port, with an echo server as upstream."""
    with Server(("127.0.0.1", 0), Echo) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        upstream = f"127.0.0.1:{server.server_address[1]}"
        document = {"name": "echo", "listen": "127.0.0.1:0", "upstream": upstream}
        made = requests.post(f"{api}/proxies", json=document, timeout=SECONDS).json()
        yield f"{api}/proxies/echo", int(made["listen"].rpartition(":")[2])
        requests.delete(f"{api}/proxies/echo", timeout=SECONDS)
        server.shutdown()


def connect(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), timeout=SECONDS)


def add(url: str, kind: str, stream: str = "downstream", **attributes: int) -> None:
    toxic = {"name": "t", "type": kind, "stream": stream, "attributes": attributes}
    requests.post(f"{url}/toxics", json=toxic, timeout=SECONDS).raise_for_status()


def remove(url: str) -> None:
    requests.delete(f"{url}/toxics/t", timeout=SECONDS).raise_for_status()


def ask(link: socket.socket, data: bytes = b"hello") -> bytes:
    """The echoed bytes, read until they are as many as were sent."""
    link.sendall(data)
    return receive(link, len(data))


def flood(link: socket.socket) -> None:
    """130 MB, of which the buffers of all sockets take a few."""
    for _ in range(2_000):
        link.sendall(bytes(65536))


def receive(link: socket.socket, size: int) -> bytes:
    """That many bytes; fewer if the connection ends."""
    received = bytearray()
    while len(received) < size and (more := link.recv(min(65536, size - len(received)))):
        received += more
    return bytes(received)


def test_bytes_pass_unchanged_without_toxics(proxy: tuple[str, int]) -> None:
    with connect(proxy[1]) as link:
        assert ask(link) == b"hello"


def test_latency_affects_open_connections(proxy: tuple[str, int]) -> None:
    url, port = proxy
    with connect(port) as link:
        ask(link)
        add(url, "latency", latency=300)
        started = time.monotonic()
        assert ask(link) == b"hello"
        assert time.monotonic() - started >= 0.3
        remove(url)
        assert ask(link) == b"hello"


def test_a_timeout_of_zero_drops_data_until_it_is_removed(proxy: tuple[str, int]) -> None:
    url, port = proxy
    add(url, "timeout", stream="upstream", timeout=0)
    with connect(port) as link:
        link.settimeout(0.5)
        link.sendall(b"hello")
        with pytest.raises(TimeoutError):
            link.recv(10)
        # A slow proxy has perhaps not read the bytes yet: without the toxic, it would forward them.
        wait_until(lambda: "t" in requests.get(url, timeout=SECONDS).json()["struck"], SECONDS, "the bytes are dropped")
        remove(url)
        link.settimeout(SECONDS)
        assert link.recv(10) == b""
    with connect(port) as link:
        assert ask(link) == b"hello"


def test_reset_peer_resets_open_connections(proxy: tuple[str, int]) -> None:
    url, port = proxy
    with connect(port) as link:
        ask(link)
        add(url, "reset_peer", timeout=0)
        with pytest.raises(ConnectionResetError):
            ask(link)


def test_reset_peer_resets_idle_connections(proxy: tuple[str, int]) -> None:
    url, port = proxy
    with connect(port) as link:
        ask(link)
        add(url, "reset_peer", timeout=0)
        with pytest.raises(ConnectionResetError):
            link.recv(10)


def test_a_slow_reader_gets_everything_in_order_while_a_toxic_comes_and_goes(proxy: tuple[str, int]) -> None:
    url, port = proxy
    sent = random.Random(1).randbytes(8_000_000)  # more than the buffers of all sockets take
    with connect(port) as link:
        writer = threading.Thread(target=link.sendall, args=(sent,))
        writer.start()
        received = receive(link, 1_000_000)
        add(url, "slicer", average_size=1000, size_variation=10, delay=0)
        received += receive(link, 1_000_000)
        remove(url)
        received += receive(link, 6_000_000)
        writer.join()
    assert received == sent


def test_a_peer_that_stops_reading_stops_the_sender(proxy: tuple[str, int]) -> None:
    with connect(proxy[1]) as link:
        link.settimeout(1)
        with pytest.raises(TimeoutError):
            flood(link)


def test_limit_data_closes_after_its_limit(proxy: tuple[str, int]) -> None:
    url, port = proxy
    add(url, "limit_data", bytes=3)
    with connect(port) as link:
        assert ask(link) == b"hel"
        assert link.recv(10) == b""


def test_garbage_keeps_only_the_length(proxy: tuple[str, int]) -> None:
    url, port = proxy
    add(url, "garbage")
    with connect(port) as link:
        answer = ask(link, b"x" * 100)
        assert len(answer) == 100
        assert answer != b"x" * 100


def test_slices_arrive_completely(proxy: tuple[str, int]) -> None:
    url, port = proxy
    add(url, "slicer", average_size=2, size_variation=1, delay=1000)
    with connect(port) as link:
        assert ask(link, b"0123456789") == b"0123456789"


def test_slices_without_variation_have_the_average_size(proxy: tuple[str, int]) -> None:
    url, port = proxy
    add(url, "slicer", average_size=64, size_variation=0, delay=200_000)
    with connect(port) as link:
        link.sendall(b"0123456789")
        assert link.recv(64) == b"0123456789"


def test_a_disabled_proxy_refuses_and_closes_connections(proxy: tuple[str, int]) -> None:
    url, port = proxy
    with connect(port) as link:
        ask(link)
        requests.post(url, json={"enabled": False}, timeout=SECONDS).raise_for_status()
        assert link.recv(10) == b""
    with pytest.raises(ConnectionRefusedError):
        connect(port)
    requests.post(url, json={"enabled": True}, timeout=SECONDS).raise_for_status()
    with connect(port) as link:
        assert ask(link) == b"hello"


def test_reset_removes_toxics_and_enables_proxies(api: str, proxy: tuple[str, int]) -> None:
    url, port = proxy
    add(url, "garbage")
    requests.post(url, json={"enabled": False}, timeout=SECONDS)
    requests.post(f"{api}/reset", timeout=SECONDS).raise_for_status()
    with connect(port) as link:
        assert ask(link) == b"hello"


@pytest.mark.parametrize(
    "toxic",
    [
        {},
        {"type": "plague"},
        {"type": "latency", "attributes": {"latency": -1}},
        {"type": "latency", "attributes": {"speed": 1}},
        {"type": "latency", "toxicity": 2},
        {"type": "latency", "stream": "sideways"},
        [1],
    ],
)
def test_invalid_toxics_are_rejected(proxy: tuple[str, int], toxic: Any) -> None:
    reply = requests.post(f"{proxy[0]}/toxics", json=toxic, timeout=SECONDS)
    assert reply.status_code == 400
    assert reply.json()["error"]


def test_unknown_paths_are_404(api: str) -> None:
    assert requests.get(f"{api}/proxies/none", timeout=SECONDS).status_code == 404
