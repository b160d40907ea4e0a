"""The job that migrates a database and grants privileges, as compose and Kubernetes run it."""

import os
import subprocess
import sys
from contextlib import closing

import psycopg2
import pytest

from infrastructure.local.sharing import Servers


def job(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "infrastructure.provision.migrate", *arguments],
        check=False,
        env={"PATH": os.environ["PATH"], **variables},
        capture_output=True,
        text=True,
        timeout=120,
    )


@pytest.mark.integration
def test_the_job_migrates_and_grants_idempotently(servers: Servers) -> None:
    owner = servers.database_urls["users"]
    for _ in range(2):
        done = job("users", DATABASE_URL=owner)
        assert done.returncode == 0, done.stderr
    place = owner.rpartition("@")[2]
    relay = f"postgresql://users_relay:{servers.database_passwords['users_relay']}@{place}"
    with closing(psycopg2.connect(relay)) as connection, connection.cursor() as cursor:
        cursor.execute("DELETE FROM outbox")


@pytest.mark.integration
def test_only_the_owner_may_migrate(servers: Servers) -> None:
    place = servers.database_urls["inventory"].rpartition("@")[2]
    url = f"postgresql+psycopg2://inventory:{servers.database_passwords['inventory']}@{place}"
    done = job("inventory", DATABASE_URL=url)
    assert done.returncode == 1
    assert "InsufficientPrivilege" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "variables", "message"),
    [
        ((), {}, "usage"),
        (("archive",), {"DATABASE_URL": "postgresql://x/y"}, "usage"),
        (("users",), {}, "DATABASE_URL"),
        (("users",), {"DATABASE_URL": "mysql://x/y"}, "DATABASE_URL"),
    ],
)
def test_invalid_arguments_are_rejected_by_name(
    arguments: tuple[str, ...], variables: dict[str, str], message: str
) -> None:
    done = job(*arguments, **variables)
    assert done.returncode == 2
    assert message in done.stderr
