"""PostgreSQL: one database per context with its own roles, on a durable server that only this machine can reach.

Guarantee: an acknowledged commit is on disk (fsync and synchronous_commit are on). A role connects only to its own
database. Passwords are the home's; connections go over TCP only.
"""

import os
import shutil
import subprocess
from pathlib import Path

from infrastructure.local.accounts import Account, database_account, postgres_data
from infrastructure.local.credentials import Credentials
from infrastructure.local.errors import StackError
from infrastructure.local.home import Home
from infrastructure.local.programs import Program
from infrastructure.local.spec import Spec
from infrastructure.local.urls import HOST, POSTGRES_ADMINISTRATOR, Urls
from infrastructure.provision import postgres as accounts

_SETTINGS = {
    "listen_addresses": HOST,
    "unix_socket_directories": "",
    "max_connections": "250",
    "shared_buffers": "128MB",
    "fsync": "on",
    "synchronous_commit": "on",
    "full_page_writes": "on",
    "jit": "off",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_checkpoints": "off",
    "logging_collector": "off",
    "log_line_prefix": "%m [%p] %q%u@%d ",
}
_INIT_SECONDS = 120


def specs(home: Home, program: Program, credentials: Credentials) -> list[Spec]:
    """Create the data directory if it is missing, and return the server's spec."""
    account = database_account()
    data = postgres_data(home.path, credentials.identity, account)
    environment = {**program.environment, "LC_ALL": "C.UTF-8", "HOME": str(data)}
    if not (data / "PG_VERSION").exists():
        _initialise(data, program, account, credentials.postgres_password, environment)
    settings = {**_SETTINGS, "port": str(home.port("postgres"))}
    return [
        Spec(
            name="postgres",
            words=[
                str(program.executable),
                "-D",
                str(data),
                *(word for key, value in settings.items() for word in ("-c", f"{key}={value}")),
            ],
            environment=environment,
            directory=str(data),
            uid=account.uid if account else None,
            gid=account.gid if account else None,
            stop_signal="INT",  # fast shutdown; TERM would wait for every client
            stop_seconds=30,
            stale_files=[str(data / "postmaster.pid")],
        )
    ]


def ready(home: Home, credentials: Credentials) -> None:
    """Raise psycopg2.OperationalError unless the server executes statements."""
    accounts.connect(Urls(home, credentials).postgres_administrator).close()


def provision(home: Home, credentials: Credentials) -> None:
    """Create each context's roles and database, and set the roles' passwords to the home's."""
    accounts.provision(Urls(home, credentials).postgres_administrator, credentials.databases)


def _initialise(
    data: Path, program: Program, account: Account | None, password: str, environment: dict[str, str]
) -> None:
    # Create it under another name first, so that a partial directory after a crash is never used.
    draft = data.with_name("postgres-draft")
    _make_owned(data.parent, draft, account)
    password_file = draft / "password"
    password_file.write_text(password, encoding="utf-8")
    password_file.chmod(0o600)
    cluster = draft / "data"
    if account:
        os.chown(password_file, account.uid, account.gid)
    answer = subprocess.run(
        [
            *(str(program.sibling("initdb")), "-D", str(cluster), "-U", POSTGRES_ADMINISTRATOR),
            *("-A", "scram-sha-256", f"--pwfile={password_file}"),
            *("-E", "UTF8", "--locale=C.UTF-8", "--data-checksums"),
        ],
        check=False,
        capture_output=True,
        text=True,
        timeout=_INIT_SECONDS,
        env=environment,
        cwd=draft,
        user=account.uid if account else None,
        group=account.gid if account else None,
        extra_groups=[] if account else None,
    )
    if answer.returncode != 0:
        raise StackError(f"PostgreSQL's data directory could not be made:\n{answer.stdout}{answer.stderr}")
    shutil.rmtree(data, ignore_errors=True)
    cluster.rename(data)
    shutil.rmtree(draft)


def _make_owned(parent: Path, draft: Path, account: Account | None) -> None:
    parent.mkdir(parents=True, exist_ok=True, mode=0o711)
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(mode=0o700)
    if account:
        os.chown(draft, account.uid, account.gid)
