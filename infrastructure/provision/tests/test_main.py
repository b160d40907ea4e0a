"""The one-shot job, as compose runs it, on servers that already have their accounts, like in an upgrade."""

import json
import os
import subprocess
import sys
from urllib.parse import urlsplit

import psycopg2
import pytest

from common.tests.bad_settings import started_with
from infrastructure.local.sharing import Servers
from infrastructure.provision import main


def job(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "infrastructure.provision.main", *arguments],
        check=False,
        env={"PATH": os.environ["PATH"], **variables},
        capture_output=True,
        text=True,
        timeout=120,
    )


@pytest.mark.integration
def test_the_job_is_idempotent_on_each_server(servers: Servers) -> None:
    documents = {context: str(urlsplit(url).password) for context, url in servers.document_urls.items()}
    mongodb = urlsplit(servers.mongodb_url)
    runs = {
        "postgres": {
            "POSTGRES_ADMINISTRATOR_URL": servers.postgres_admin_url,
            "ACCOUNT_PASSWORDS": json.dumps(servers.database_passwords),
        },
        "rabbitmq": {
            "RABBITMQ_ADMINISTRATOR_URL": servers.rabbitmq_management_url,
            "ACCOUNT_PASSWORDS": json.dumps(servers.broker_passwords),
        },
        "mongodb": {
            "MONGODB_MEMBER": mongodb.netloc.rpartition("@")[2],
            "MONGODB_ADMINISTRATOR_PASSWORD": str(mongodb.password),
            "ACCOUNT_PASSWORDS": json.dumps(documents),
        },
    }
    for server, variables in runs.items():
        done = job(server, **variables)
        assert (done.returncode, done.stderr) == (0, ""), server
    psycopg2.connect(servers.database_urls["orders"].replace("+psycopg2", "")).close()


@pytest.mark.parametrize(
    ("arguments", "variables", "message"),
    [
        ((), {}, "usage"),
        (("redis",), {}, "usage"),
        (("postgres",), {}, "POSTGRES_ADMINISTRATOR_URL"),
        (("rabbitmq",), {"RABBITMQ_ADMINISTRATOR_URL": "http://x", "ACCOUNT_PASSWORDS": "[]"}, "ACCOUNT_PASSWORDS"),
    ],
)
def test_invalid_arguments_are_rejected_by_name(
    arguments: tuple[str, ...], variables: dict[str, str], message: str
) -> None:
    code, printed = started_with(lambda: sys.exit(main.main(list(arguments))), variables)
    assert code == 2
    assert message in printed
