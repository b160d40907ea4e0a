"""holdfast env: the settings of a running stack, for a process that is started by hand."""

import stat
from io import StringIO
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from dotenv import dotenv_values

from holdfast.cli import main
from holdfast.commands import env
from infrastructure.local.credentials import load_credentials
from infrastructure.local.env_files import EXAMPLE, FOLDERS
from infrastructure.local.home import REPOSITORY, Home, open_home, remember


def run(*words: str | Path) -> Result:
    return CliRunner().invoke(main, ["env", *map(str, words)])


@pytest.fixture
def home(tmp_path: Path) -> Home:
    found = open_home(tmp_path / "home", 9000)
    remember(found)
    load_credentials(found)
    return found


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A separate root, because this checkout's files belong to the user."""
    for folder in FOLDERS:
        example = tmp_path / folder / EXAMPLE
        example.parent.mkdir(parents=True)
        example.write_text((REPOSITORY / folder / EXAMPLE).read_text())
    monkeypatch.setattr(env, "REPOSITORY", tmp_path)
    return tmp_path


def test_it_prints_the_stacks_ports_addresses_and_secrets(home: Home) -> None:
    credentials = load_credentials(home)
    found = dotenv_values(stream=StringIO(run("worker-orders", "--home", home.path).stdout))
    assert found["RABBITMQ_URL"] == f"amqp://worker-orders:{credentials.brokers['worker-orders']}@127.0.0.1:9011/"
    assert found["METRICS_PORT"] == "9023"
    assert str(found["DATABASE_URL"]).endswith(f"://orders:{credentials.databases['orders']}@127.0.0.1:9010/orders")
    assert "LOG_LEVEL" not in found, "it is there, with its default, as a comment"


def test_a_written_file_is_private_and_keeps_changed_values(home: Home, root: Path) -> None:
    file = root / "services/orders/.env"
    file.write_text("LOG_LEVEL=DEBUG\nSERVICE_PORT=1\nDATABASE_URL=postgresql://old\n")
    assert run("orders", "--write", "--home", home.path).stdout == "wrote services/orders/.env\n"
    found = dotenv_values(file)
    assert (found["LOG_LEVEL"], found["SERVICE_PORT"]) == ("DEBUG", "9003")
    assert "@127.0.0.1:9010/orders" in str(found["DATABASE_URL"])
    assert str(found["JWKS_URL"]).startswith("http://127.0.0.1:9001/"), "what the file lacked is added"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_all_files_are_written_without_a_name(home: Home, root: Path) -> None:
    assert run("--home", home.path).exit_code == 2
    assert run("--write", "--home", home.path).exit_code == 0
    assert {str(path.parent.relative_to(root)) for path in root.glob("*/*/.env")} == set(FOLDERS)


def test_a_missing_stack_or_compose_file_is_reported(tmp_path: Path, root: Path) -> None:
    assert run("orders", "--home", tmp_path / "nowhere").exit_code == 3
    refused = run("orders", "--compose")
    assert (refused.exit_code, "holdfast secrets" in refused.stderr) == (1, True)
    assert not list(root.glob("*/*/.env"))


def test_a_folder_of_the_repository_uses_the_stack_of_its_root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(REPOSITORY / "services" / "orders")
    monkeypatch.delenv("HOLDFAST_HOME", raising=False)
    with CliRunner().isolation():
        context = main.make_context("holdfast", ["status"])
        command = main.get_command(context, "status")
        assert command
        assert command.make_context("status", []).params["home"] == REPOSITORY / ".holdfast"
