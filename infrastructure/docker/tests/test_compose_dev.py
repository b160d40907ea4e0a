"""compose.dev.yaml: only the servers, reachable only from this machine; and the commands of docs/compose.md."""

import os
import re
import subprocess
import uuid
from collections.abc import Iterator
from contextlib import closing

import pika
import psycopg2
import pytest
from pymongo import MongoClient

from chaos_tests.runners.drivers.compose import COMMAND
from common.tests.ports import free_port
from infrastructure.docker.tests.composed import DEVELOPMENT, FILE, ROOT, compose, variables

VALUES = variables()
SERVERS = {"postgres": "5432", "rabbitmq": "5672", "mongodb": "27017"}
PAGE, SECTION = ROOT / "docs" / "compose.md", "## The servers alone, services natively"
RECIPE_SECONDS = 900


def test_it_adds_only_the_servers_ports() -> None:
    added = compose(VALUES, DEVELOPMENT)
    assert set(added) == {"services"}
    assert added["services"] == {
        name: {"ports": [f"127.0.0.1:{VALUES[f'{name.upper()}_PORT']}:{port}"]} for name, port in SERVERS.items()
    }
    assert set(SERVERS) <= set(compose(VALUES, FILE)["services"])


def recipe() -> list[str]:
    """The page's lines that call compose."""
    text = PAGE.read_text(encoding="utf-8").partition(f"\n{SECTION}")[2]
    block = re.search(r"```sh\n(.*?)```", text, re.DOTALL)
    assert block, f"{PAGE} has no block below {SECTION!r}"
    lines = block[1].replace("\\\n", " ").splitlines()
    return [line.partition("#")[0].strip() for line in lines if line.startswith("docker compose ")]


def test_the_documented_commands_start_the_servers() -> None:
    files = "-f compose.yaml -f compose.dev.yaml"
    assert recipe()[0] == f"docker compose {files} up -d postgres rabbitmq mongodb"
    assert all(files in line for line in recipe())


@pytest.fixture
def environment() -> Iterator[dict[str, str]]:
    """Variables for a separate compose project, which is deleted afterwards with its data."""
    ports = {name: str(free_port()) for name in VALUES if name.endswith("_PORT")}
    found = os.environ | VALUES | ports | {"COMPOSE_PROJECT_NAME": f"holdfast-{uuid.uuid4().hex[:8]}"}
    yield found
    down = [*COMMAND, "-f", "compose.yaml", "-f", "compose.dev.yaml", "down", "--volumes", "--timeout", "5"]
    subprocess.run(down, cwd=ROOT, env=found, check=True, timeout=180)


@pytest.mark.containers
@pytest.mark.timeout(RECIPE_SECONDS)
def test_a_native_process_connects_with_its_own_account(environment: dict[str, str]) -> None:
    for line in recipe():
        pasted = line.replace("docker compose", " ".join(COMMAND), 1)
        subprocess.run(pasted, shell=True, cwd=ROOT, env=environment, check=True, timeout=RECIPE_SECONDS)
    password = VALUES["POSTGRES_ORDERS_PASSWORD"]
    address = f"postgresql://orders:{password}@localhost:{environment['POSTGRES_PORT']}/orders"
    with closing(psycopg2.connect(address, connect_timeout=60)) as database, database.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM orders")
    url = (
        f"mongodb://archive:{VALUES['MONGODB_ARCHIVE_PASSWORD']}@localhost:{environment['MONGODB_PORT']}/archive"
        "?directConnection=true&authSource=admin"
    )
    with MongoClient[dict[str, object]](url, serverSelectionTimeoutMS=10_000) as client:
        assert client.get_default_database().list_collection_names()
    worker = (
        f"amqp://worker-orders:{VALUES['RABBITMQ_WORKER_ORDERS_PASSWORD']}@localhost:{environment['RABBITMQ_PORT']}/"
    )
    connection = pika.BlockingConnection(pika.URLParameters(worker))
    assert connection.channel().basic_get("orders.events")[0] is None
    connection.close()
