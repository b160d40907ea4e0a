"""A broker of three nodes, each with its own directory and all in the processes' settings."""

from dataclasses import replace
from pathlib import Path

import pytest

from infrastructure.local.credentials import load_credentials
from infrastructure.local.environment import environment_of
from infrastructure.local.home import Home, open_home
from infrastructure.local.ports import listening_offsets
from infrastructure.local.programs import Program
from infrastructure.local.servers import rabbitmq
from infrastructure.local.status import status_of
from infrastructure.processes import PORTS_PER_STACK, PROCESSES, process

NODES = ["rabbitmq", "rabbitmq-2", "rabbitmq-3"]
PROGRAM = Program("rabbitmq", Path("/nowhere/sbin/rabbitmq-server"), "3.10.8", private=False)


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return open_home(tmp_path, 9000, 3)


def test_ports_of_nodes_are_unique(home: Home) -> None:
    assert len(listening_offsets(3)) == len(listening_offsets(1)) + 2 * 4
    assert max(listening_offsets(3)) < PORTS_PER_STACK
    assert [line.name for line in home.processes if line.name.startswith("rabbitmq")] == NODES
    assert [home.port(name) for name in NODES] == [9011, 9033, 9036]


def test_each_node_has_its_own_directory_and_the_addresses_of_the_others(home: Home) -> None:
    mapper, *nodes = rabbitmq.specs(home, PROGRAM, load_credentials(home))
    assert [mapper.name, *(spec.name for spec in nodes)] == ["epmd", *NODES]
    for variable in ("RABBITMQ_NODENAME", "RABBITMQ_NODE_PORT", "RABBITMQ_DIST_PORT", "RABBITMQ_MNESIA_BASE", "HOME"):
        assert len({spec.environment[variable] for spec in nodes}) == 3, variable
    cookies = {Path(spec.directory, ".erlang.cookie").read_text() for spec in nodes}
    assert len(cookies) == 1
    for spec in nodes:
        written = Path(spec.directory, "rabbitmq.conf").read_text()
        assert "cluster_partition_handling = pause_minority" in written
        for other in nodes:
            assert other.environment["RABBITMQ_NODENAME"] in written


def test_one_node_has_no_cluster_configuration(home: Home) -> None:
    alone = replace(home, rabbitmq_nodes=1)
    _, node = rabbitmq.specs(alone, PROGRAM, load_credentials(alone))
    assert node.name == "rabbitmq"
    assert "cluster" not in Path(node.directory, "rabbitmq.conf").read_text()
    url = environment_of(process("relay-1"), alone, load_credentials(alone))["RABBITMQ_URL"]
    assert ";" not in url
    assert url.endswith("@127.0.0.1:9011/")


def test_processes_know_all_nodes_in_different_orders(home: Home) -> None:
    credentials = load_credentials(home)
    given = [environment_of(line, home, credentials) for line in PROCESSES if "RABBITMQ_URL" in line.environment]
    ports = [[url.rpartition(":")[2] for url in known["RABBITMQ_URL"].split(";")] for known in given]
    assert {frozenset(each) for each in ports} == {frozenset({"9011/", "9033/", "9036/"})}
    assert len({each[0] for each in ports}) == 3
    operations = environment_of(process("service-operations"), home, credentials)["RABBITMQ_MANAGEMENT_URL"]
    assert [url.rpartition(":")[2] for url in operations.split(";")] == ["9012", "9034", "9037"]
    assert {found["name"] for found in status_of(home)["processes"]} >= set(NODES)
