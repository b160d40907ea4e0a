"""The described privileges match the system."""

import re
from pathlib import Path

import pytest

from common.messaging import topology
from infrastructure.privileges import (
    BROKER_ACCOUNTS,
    DEAD_EXCHANGE,
    DEAD_LETTERS_QUEUE,
    EVENTS_EXCHANGE,
    PROBE_EXCHANGE,
    RETRY_EXCHANGES,
    broker_account,
)
from infrastructure.processes import PROCESSES, process

ACCOUNTS = {account.name: account for account in BROKER_ACCOUNTS}
EVENTS = sorted(path.stem for path in (Path(__file__).parents[2] / "tests" / "contracts").glob("*.json"))
BY_HAND = {"monitor"}  # no process connects with it: it is for the management API


def keys_at(account: str, exchange: str) -> str:
    return next((right.write for right in ACCOUNTS[account].topics if right.exchange == exchange), "")


def test_privileges_name_existing_queues_and_exchanges() -> None:
    assert topology.EVENTS.name == EVENTS_EXCHANGE
    assert topology.DEAD.name == DEAD_EXCHANGE
    assert topology.DEAD_LETTERS == DEAD_LETTERS_QUEUE
    assert topology.PROBE.name == PROBE_EXCHANGE
    assert tuple(topology.delay_exchange(seconds).name for seconds in topology.RETRY_DELAYS_SECONDS) == RETRY_EXCHANGES


def test_every_broker_account_belongs_to_a_process_and_vice_versa() -> None:
    used = {broker_account(line) for line in PROCESSES if "RABBITMQ_URL" in line.environment}
    assert used == set(ACCOUNTS) - BY_HAND
    assert broker_account(process("relay-2")) == "relay"
    with pytest.raises(LookupError, match="service-orders"):
        broker_account(process("service-orders"))


@pytest.mark.parametrize("event", EVENTS)
def test_each_event_is_published_by_the_relay_or_by_a_worker(event: str) -> None:
    relay = bool(re.search(keys_at("relay", EVENTS_EXCHANGE), event))
    worker = bool(re.search(keys_at("worker-orders", EVENTS_EXCHANGE), event))
    assert relay != worker


@pytest.mark.parametrize("name", [name for name in ACCOUNTS if name.startswith("worker-")])
def test_a_worker_cannot_consume_anothers_queue(name: str) -> None:
    account = ACCOUNTS[name]
    for other in ACCOUNTS:
        queue = f"{other.removeprefix('worker-')}.events"
        assert bool(re.search(account.read, queue)) == (other == name and name != "worker-operations")
        assert not re.search(account.configure, queue)


def test_no_account_may_send_commands_to_workers() -> None:
    assert not [account.name for account in BROKER_ACCOUNTS if re.search(account.write, "celery.pidbox")]


def test_routing_keys_are_limited_at_writable_topic_exchanges() -> None:
    for account in BROKER_ACCOUNTS:
        for exchange in (EVENTS_EXCHANGE, DEAD_EXCHANGE, *RETRY_EXCHANGES, "celeryev"):
            if re.search(account.write, exchange):
                assert any(right.exchange == exchange for right in account.topics), (account.name, exchange)
