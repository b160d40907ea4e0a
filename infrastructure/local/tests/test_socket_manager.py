"""The socket manager, with real sockets and real processes that inherit them."""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from socket import create_connection, create_server, socket

import pytest

from infrastructure.local.home import REPOSITORY, Home, open_home
from infrastructure.local.listeners import release, socket_manager_path, take
from infrastructure.local.ports import free_port_base
from infrastructure.local.socket_manager import SocketManager
from infrastructure.local.spec import Spec, write_specs

SHORTLY_AWAY_SECONDS = 0.5
PATIENT_SECONDS = 60.0  # longer than a process takes to start on a busy machine
SLEEP = "import time; print('there', flush=True); time.sleep(60)"
# Answers one connection on its inherited socket.
ANSWER = """
import os, socket
assert (os.environ["LISTEN_PID"], os.environ["LISTEN_FDS"], os.environ["NGINX"]) == (str(os.getpid()), "1", "3;")
listener = socket.socket(fileno=3)
listener.settimeout(60)
listener.accept()[0].sendall(b"hello")
"""


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return open_home(tmp_path / "home", free_port_base(tmp_path))


@pytest.fixture
def address(home: Home) -> str:
    return f"127.0.0.1:{home.port_base}"


@contextmanager
def keeping(home: Home, away_seconds: float = PATIENT_SECONDS) -> Iterator[Path]:
    path = socket_manager_path(home.socket)
    socket_manager = SocketManager(path, away_seconds=away_seconds)
    thread = threading.Thread(target=socket_manager.run)
    thread.start()
    try:
        yield path
    finally:
        socket_manager.stop()
        thread.join(timeout=60)


@pytest.fixture
def socket_manager(home: Home) -> Iterator[Path]:
    with keeping(home) as path:
        yield path


def start(home: Home, code: str, address: str) -> subprocess.Popen[str]:
    socket_manager = str(socket_manager_path(home.socket))
    write_specs(home, [Spec("p", [sys.executable, "-c", code], {}, listen=address, socket_manager=socket_manager)])
    command = [sys.executable, "-m", "infrastructure.local.run", str(home.run), "p"]
    return subprocess.Popen(command, cwd=REPOSITORY, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


@contextmanager
def listening(home: Home, address: str) -> Iterator[None]:
    """A process listens at the address without answering; it is killed at the end."""
    with start(home, SLEEP, address) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "there\n"
        yield
        process.kill()


def connect(address: str) -> socket:
    host, _, port = address.rpartition(":")
    return create_connection((host, int(port)), timeout=60)


def is_refused(address: str) -> bool:
    try:
        connect(address).close()
    except ConnectionRefusedError:
        return True
    return False


def eventually(check: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not check():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_connections_between_two_processes_are_accepted_by_the_second(
    home: Home, socket_manager: Path, address: str
) -> None:
    with listening(home, address):
        pass
    with connect(address) as waiting:
        with start(home, ANSWER, address) as successor:
            assert waiting.recv(100) == b"hello"
        assert successor.returncode == 0


def test_connections_without_a_successor_are_refused_after_a_time_out(home: Home, address: str) -> None:
    with keeping(home, SHORTLY_AWAY_SECONDS):
        with listening(home, address):
            time.sleep(SHORTLY_AWAY_SECONDS * 2)
            assert not is_refused(address), "it is there"
        # Refused at once if the time is over already, on a busy machine; else what waits is closed when it is over.
        with pytest.raises(ConnectionError), connect(address) as waiting:
            waiting.recv(1)
        assert is_refused(address)
        with listening(home, address):
            assert not is_refused(address)


def test_connections_to_a_stopped_process_are_refused_at_once(home: Home, socket_manager: Path, address: str) -> None:
    with listening(home, address):
        pass
    release(socket_manager, address)
    assert is_refused(address)
    release(socket_manager, address)  # nothing left to close


def test_a_listener_is_replaced_without_a_gap_after_the_socket_manager_died(home: Home, address: str) -> None:
    with keeping(home):
        first = listening(home, address)
        first.__enter__()
    assert not is_refused(address), "a listening process keeps listening"
    with keeping(home), listening(home, address):
        first.__exit__(None, None, None)
        assert not is_refused(address)


def test_an_address_in_use_by_another_program_is_not_shared(socket_manager: Path, address: str) -> None:
    host, _, port = address.rpartition(":")
    with create_server((host, int(port))), pytest.raises(OSError, match="Address already in use"):
        take(socket_manager, address)


def test_malformed_requests_do_not_end_the_socket_manager(socket_manager: Path, address: str) -> None:
    for nonsense in ("", "nonsense", "127.0.0.1:port", f"203.0.113.1:{address.rpartition(':')[2]}"):
        with pytest.raises(OSError, match=r".+"):
            take(socket_manager, nonsense)
    take(socket_manager, address).close()


def test_a_process_starts_without_a_socket_manager(home: Home, address: str) -> None:
    host, _, port = address.rpartition(":")
    code = f"import os, socket; assert 'NGINX' not in os.environ; socket.create_server(('{host}', {port}))"
    with start(home, code, address) as process:
        output, _ = process.communicate(timeout=60)
    assert process.returncode == 0, output
    assert "opens its socket itself" in output


def test_an_address_in_use_is_named(socket_manager: Path) -> None:
    with create_server(("127.0.0.1", 0)) as other:
        address = f"127.0.0.1:{other.getsockname()[1]}"
        with pytest.raises(OSError, match=address):
            take(socket_manager, address)


def test_accept_does_not_block_if_another_process_took_the_connection(socket_manager: Path, address: str) -> None:
    with take(socket_manager, address) as listener:
        # The state for other users of the socket, not of Python's own object.
        assert not os.get_blocking(listener.fileno())
