"""The output and exit codes of up, down, status, logs and token."""

import json
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import ClassVar

import pytest
from click.testing import CliRunner, Result

from holdfast.cli import main
from infrastructure.local.credentials import load_credentials
from infrastructure.local.home import Home, open_home, remember
from infrastructure.local.ports import free_port_base
from infrastructure.processes import RELATIONAL_CONTEXTS


def run(*words: str | Path, **environment: str) -> Result:
    return CliRunner(env=environment).invoke(main, [str(word) for word in words])


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """The home of a stack that does not run."""
    home = open_home(tmp_path / "home", free_port_base(tmp_path))
    remember(home)
    load_credentials(home)
    return home


class _Tokens(BaseHTTPRequestHandler):
    seen: ClassVar[list[tuple[str, dict[str, str]]]] = []
    status = 200

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.seen.append((self.path, body))
        self.send_response(self.status)
        self.end_headers()
        self.wfile.write(b'{"access_token": "the.token.itself", "token_type": "Bearer"}')

    def log_message(self, *arguments: object) -> None:
        """Log nothing."""


@pytest.fixture
def gateway(home: Home) -> Iterator[type[_Tokens]]:
    _Tokens.seen.clear()
    _Tokens.status = 200
    with HTTPServer(("127.0.0.1", home.port("gateway")), _Tokens) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        yield _Tokens
        server.shutdown()
        thread.join()


def test_every_command_has_help() -> None:
    listing = run("--help")
    assert listing.exit_code == 0
    for command in ("up", "down", "restart", "status", "logs", "token"):
        assert f"\n  {command}" in listing.output
        help_text = run(command, "--help")
        assert help_text.exit_code == 0
        assert "Exit codes:" in help_text.output
    assert run("nonsense").exit_code == 2


ASKING = (("token",), ("demo",), ("audit",), ("bench",), ("dead-letters", "list"), ("payments", "standing-cases"))


@pytest.mark.parametrize("command", [("restart",), ("status",), ("logs",), *ASKING], ids=" ".join)
def test_without_a_stack_the_exit_code_is_3(command: tuple[str, ...], tmp_path: Path) -> None:
    result = run(*command, "--home", tmp_path / "nowhere")
    assert result.exit_code == 3
    assert "holdfast up --home" in result.stderr
    assert not result.stdout
    assert not (tmp_path / "nowhere").exists()


def test_a_command_outside_path_is_named_with_its_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", [".venv/bin/holdfast", "status"])
    monkeypatch.setenv("PATH", str(tmp_path))
    assert "`.venv/bin/holdfast up --home" in run("status", "--home", tmp_path / "nowhere").stderr
    (tmp_path / "holdfast").touch(mode=0o755)
    assert "`holdfast up --home" in run("status", "--home", tmp_path / "nowhere").stderr


@pytest.mark.parametrize("command", [("restart",), *ASKING], ids=" ".join)
def test_the_exit_code_is_3_when_the_stack_is_down(command: tuple[str, ...], home: Home) -> None:
    result = run(*command, "--home", home.path)
    assert (result.exit_code, result.stdout) == (3, "")
    assert f"holdfast up --home {home.path}" in result.stderr


@pytest.mark.parametrize("command", [("up",), ("down",), ("status",), ("restart",), ("logs",), *ASKING], ids=" ".join)
def test_a_damaged_home_is_named_without_a_traceback(command: tuple[str, ...], home: Home) -> None:
    (home.path / "settings.json").write_text("{")
    result = run(*command, "--home", home.path)
    assert result.exit_code == 1
    assert "settings.json is damaged" in result.stderr
    assert isinstance(result.exception, SystemExit)


def test_a_directory_with_foreign_files_is_rejected_as_home(tmp_path: Path) -> None:
    (tmp_path / "letter").write_text("mine")
    tmp_path.chmod(0o755)
    assert run("up", "--home", tmp_path).exit_code == 1
    assert run("down", "--delete-data", "--home", tmp_path).exit_code == 0
    assert [entry.name for entry in tmp_path.iterdir()] == ["letter"]
    assert tmp_path.stat().st_mode & 0o777 == 0o755


@pytest.mark.parametrize("url", ["nonsense", "ftp://x", "http://", "http://x:99999", "http://[x"])
def test_an_invalid_url_is_a_usage_error(url: str) -> None:
    for words in (("token", "--url", url), ("audit", "--url", url), ("audit", "--ledger", url)):
        result = run(*words, HOLDFAST_PASSWORD="secret")
        assert result.exit_code == 2
        assert "expected an address like" in result.stderr


def test_down_without_a_stack_is_no_error(tmp_path: Path) -> None:
    assert run("down", "--home", tmp_path / "nowhere").exit_code == 0
    assert not (tmp_path / "nowhere").exists()


def test_status_of_a_stack_that_is_down(home: Home) -> None:
    result = run("status", "--json", "--home", home.path)
    assert result.exit_code == 3
    found = json.loads(result.stdout)
    assert set(found) == {
        *("gateway", "rabbitmq", "rabbitmq_management", "postgres", "mongodb", "sandbox", "flower", "mail_catcher"),
        "processes",
    }
    assert found["gateway"] == f"http://127.0.0.1:{home.port_base}"
    assert set(found["postgres"]) == set(RELATIONAL_CONTEXTS)
    names = {process["name"] for process in found["processes"]}
    assert {
        "postgres",
        "rabbitmq",
        "mongodb",
        "sandbox",
        "gateway",
        "service-users",
        "worker-orders",
        "relay-1",
    } <= names
    assert all(set(process) == {"name", "pid", "state", "port"} for process in found["processes"])
    assert {process["state"] for process in found["processes"]} == {"stopped"}
    assert {process["pid"] for process in found["processes"]} == {None}
    assert "stopped" in run("status", "--home", home.path).stdout


def test_down_deletes_data_only_on_request(home: Home) -> None:
    assert run("down", "--home", home.path).exit_code == 0
    assert home.path.exists()
    assert run("down", "--delete-data", "--home", home.path).exit_code == 0
    assert not home.path.exists()


def test_logs_print_the_last_lines(home: Home) -> None:
    home.log("postgres").write_text("".join(f"line {number}\n" for number in range(100)))
    home.log("sandbox").write_text("hello\n")
    one = run("logs", "postgres", "-n", "3", "--home", home.path)
    assert one.stdout.splitlines() == ["line 97", "line 98", "line 99"]
    both = run("logs", "-n", "1", "--home", home.path).stdout.splitlines()
    assert both == ["postgres:", "  line 99", "sandbox:", "  hello"]
    unknown = run("logs", "nonsense", "--home", home.path)
    assert unknown.exit_code == 2
    assert "postgres, sandbox" in unknown.stderr


def test_token_prints_only_the_token(home: Home, gateway: type[_Tokens]) -> None:
    result = run("token", "--role", "customer", "--home", home.path)
    assert (result.exit_code, result.output) == (0, "the.token.itself\n")
    password = load_credentials(home).customer_password
    assert gateway.seen == [("/api/v1/tokens", {"username": "customer", "password": password})]


def test_token_from_another_gateway(home: Home, gateway: type[_Tokens], tmp_path: Path) -> None:
    url = f"http://127.0.0.1:{home.port('gateway')}/"
    result = run("token", "--home", tmp_path / "nowhere", "--url", url, HOLDFAST_PASSWORD="secret")
    assert result.exit_code == 0
    assert gateway.seen == [("/api/v1/tokens", {"username": "operator", "password": "secret"})]


def test_a_rejected_token_or_an_unreachable_gateway_is_exit_code_1(home: Home, gateway: type[_Tokens]) -> None:
    gateway.status = 401
    refused = run("token", "--home", home.path)
    assert (refused.exit_code, refused.stdout) == (1, "")
    away = run("token", "--home", home.path, "--url", "http://127.0.0.1:9")
    assert (away.exit_code, away.stdout) == (1, "")


@pytest.mark.integration
def test_up_names_a_port_in_use_and_starts_nothing(home: Home) -> None:
    with socket.create_server(("127.0.0.1", home.port("service-orders"))):
        result = run("up", "--home", home.path)
    assert result.exit_code == 1
    assert f"port {home.port('service-orders')}, meant for service-orders, is in use" in result.stderr
    assert run("status", "--home", home.path).exit_code == 3


def test_up_rejects_invalid_options(tmp_path: Path) -> None:
    assert run("up", "--home", tmp_path / "x", "--port-base", "80").exit_code == 1
    assert run("up", "--home", tmp_path / "x", "--port-base", "many").exit_code == 2
    (tmp_path / "file").touch()
    assert run("up", "--home", tmp_path / "file").exit_code == 2
