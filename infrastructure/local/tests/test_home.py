"""A stack's directory: its permissions and its stored settings."""

import json
import os
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from infrastructure.local.accounts import Account, can_reach, database_account, postgres_data
from infrastructure.local.credentials import credentials_file, load_credentials
from infrastructure.local.errors import StackError
from infrastructure.local.home import Home, existing_home, locked, open_home, remember
from infrastructure.local.spec import Spec, read_specs, write_specs

NOBODY = Account("nobody", uid=65534, gid=65534)
SOMEBODY_ELSE = 64_999


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


@pytest.fixture
def reachable() -> Iterator[Path]:
    """A directory that every user of the machine can traverse, unlike pytest's own."""
    with tempfile.TemporaryDirectory() as directory:
        Path(directory).chmod(0o755)
        yield Path(directory)


def test_secrets_are_generated_once_in_a_private_file(tmp_path: Path) -> None:
    home = open_home(tmp_path / "home", 9000)
    first = load_credentials(home)
    assert mode(credentials_file(home)) == 0o600
    assert load_credentials(home) == first
    other = load_credentials(open_home(tmp_path / "other", 9000))
    assert other.operator_password != first.operator_password
    assert other.databases["orders"] != first.databases["orders"]


def test_a_secret_of_a_newer_version_is_added(tmp_path: Path) -> None:
    home = open_home(tmp_path, 9000)
    before = load_credentials(home)
    known = json.loads(credentials_file(home).read_text())
    del known["mongodb_key"], known["databases"]["orders"]
    credentials_file(home).write_text(json.dumps(known))
    after = load_credentials(home)
    assert after.mongodb_key
    assert after.databases["orders"]
    assert after.postgres_password == before.postgres_password
    assert after.databases["users"] == before.databases["users"]


def test_the_password_of_a_new_account_is_stored(tmp_path: Path) -> None:
    home = open_home(tmp_path, 9000)
    load_credentials(home)
    known = json.loads(credentials_file(home).read_text())
    del known["databases"]["orders_relay"], known["brokers"]["relay"]
    credentials_file(home).write_text(json.dumps(known))
    assert load_credentials(home) == load_credentials(home)


def test_damaged_secrets_are_not_replaced(tmp_path: Path) -> None:
    home = open_home(tmp_path, 9000)
    credentials_file(home).write_text("{")
    with pytest.raises(StackError, match="damaged"):
        load_credentials(home)
    assert credentials_file(home).read_text() == "{"


def test_the_process_file_is_private(tmp_path: Path) -> None:
    home = open_home(tmp_path, 9000)
    spec = Spec("x", ["/bin/true", 'a "quoted" %word'], {"A": "b c\n'"})
    write_specs(home, [spec])
    assert mode(home.programs_file) == 0o600
    assert read_specs(home.programs_file) == {"x": spec}
    assert mode(home.run) == mode(home.path / "log") == 0o700


def test_files_of_sharing_tests_are_accepted_in_a_new_home(tmp_path: Path) -> None:
    for name in ("holders", "turn", "started-by-tests"):
        (tmp_path / name).touch()
    assert open_home(tmp_path, 9000).path == tmp_path


def test_a_directory_with_foreign_files_is_rejected(tmp_path: Path) -> None:
    (tmp_path / "letter").touch()
    with pytest.raises(StackError, match="contains other files"):
        open_home(tmp_path, 9000)
    remember(Home(tmp_path, 9000))
    assert open_home(tmp_path).port_base == 9000  # a foreign file in an existing home is accepted


def test_a_home_keeps_its_ports(tmp_path: Path) -> None:
    assert existing_home(tmp_path) is None
    remember(open_home(tmp_path, 9000))
    assert open_home(tmp_path).port_base == 9000
    known = existing_home(tmp_path)
    assert known is not None
    assert known.port("postgres") == 9010


def test_a_home_keeps_its_number_of_broker_nodes(tmp_path: Path) -> None:
    with pytest.raises(StackError, match="1 or 3"):
        open_home(tmp_path, 9000, 2)
    remember(open_home(tmp_path, 9000, 3))
    assert open_home(tmp_path).rabbitmq_nodes == open_home(tmp_path, 9100, 3).rabbitmq_nodes == 3
    with pytest.raises(StackError, match="--rabbitmq-nodes 3 and keeps that"):
        open_home(tmp_path, 9000, 1)


def test_a_home_of_an_earlier_version_has_one_node(tmp_path: Path) -> None:
    (tmp_path / "settings.json").write_text('{"port_base": 9000}')
    known = existing_home(tmp_path)
    assert known == open_home(tmp_path)
    assert known.rabbitmq_nodes == 1
    with pytest.raises(StackError, match="--rabbitmq-nodes 1 and keeps that"):
        open_home(tmp_path, None, 3)


@pytest.mark.parametrize("base", [1, 1023, 65530, -5])
def test_invalid_ports_are_rejected(tmp_path: Path, base: int) -> None:
    with pytest.raises(StackError, match="port base"):
        open_home(tmp_path, base)


def test_the_socket_of_a_home_with_a_long_path_has_a_short_path(tmp_path: Path) -> None:
    deep = open_home(tmp_path / ("d" * 60) / ("e" * 60), 9000)
    assert len(str(deep.socket)) < 100
    assert deep.socket.parent.stat().st_mode & 0o077 == 0
    assert deep.socket != open_home(tmp_path / ("d" * 60) / ("f" * 60), 9000).socket


def test_the_lock_admits_one_command_at_a_time(tmp_path: Path) -> None:
    home = open_home(tmp_path, 9000)
    with locked(home), pytest.raises(StackError, match="another command"), locked(home, timeout_seconds=0.2):
        pass
    with locked(home, timeout_seconds=0.2):
        pass


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can act as another user")
def test_another_user_cannot_lock_a_home(reachable: Path) -> None:
    home = open_home(reachable / "home", 9000)
    lock = home.path / "lock"
    lock.touch()
    lock.chmod(0o644)  # like an earlier version created it
    with locked(home):
        pass
    for place in (0o710, 0o755):  # the file alone is sufficient
        home.path.chmod(place)
        taken = subprocess.run(
            ["flock", "--nonblock", lock, "true"],
            user=SOMEBODY_ELSE, group=SOMEBODY_ELSE, extra_groups=[], check=False, capture_output=True, timeout=60,
        )  # fmt: skip
        assert taken.returncode != 0
        assert b"Permission denied" in taken.stderr
    assert mode(lock) == 0o600


def test_only_the_account_of_postgres_may_traverse_a_home(reachable: Path) -> None:
    reachable.joinpath("home").mkdir(mode=0o755)
    home = open_home(reachable / "home", 9000).path
    account = database_account()
    if account is None:
        assert mode(home) == 0o700
    else:
        assert (mode(home), home.stat().st_gid) == (0o710, account.gid)
        assert can_reach(account, home)
    assert not can_reach(Account("else", SOMEBODY_ELSE, SOMEBODY_ELSE), home)


def test_a_home_that_postgres_cannot_reach_is_private(tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    assert mode(open_home(tmp_path / "home", 9000).path) == 0o700


def test_postgres_data_is_where_its_account_can_reach_it(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    assert not can_reach(NOBODY, closed / "home")
    assert postgres_data(closed / "home", "abc", NOBODY) == Path("/var/lib/holdfast/abc/postgres")
    assert postgres_data(closed / "home", "abc", None) == closed / "home" / "postgres"
    assert can_reach(NOBODY, Path("/usr/lib"))


def test_a_process_file_of_the_previous_version_is_read(tmp_path: Path) -> None:
    home = open_home(tmp_path, 9000)
    write_specs(home, [Spec("x", ["true"], {}, listen="127.0.0.1:1", socket_manager="/run/s")])
    text = home.programs_file.read_text().replace('"socket_manager"', '"keeper"')
    home.programs_file.write_text(text)
    assert read_specs(home.programs_file)["x"].socket_manager == "/run/s"
