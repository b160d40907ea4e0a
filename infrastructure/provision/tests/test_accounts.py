"""The effective privileges of the accounts on real servers."""

import secrets
from collections.abc import Callable, Iterator

import pika
import psycopg2
import pytest
from pika.adapters.blocking_connection import BlockingChannel
from pika.exceptions import ChannelClosedByBroker, UnroutableError
from pymongo import MongoClient
from pymongo.errors import OperationFailure

from infrastructure.local.readiness import request_here
from infrastructure.local.sharing import Servers
from infrastructure.provision import rabbitmq
from workers.topology.main import declare

pytestmark = pytest.mark.integration
Action = Callable[[BlockingChannel], object]
REFUSED, UNAUTHORIZED = 403, 13


@pytest.fixture(scope="module")
def broker(servers: Servers) -> Iterator[Callable[[str], str]]:
    """A virtual host with the topology and the accounts' permissions; returns its URL for an account."""
    name = f"test-{secrets.token_hex(8)}"
    host = f"{servers.rabbitmq_management_url}/api/vhosts/{name}"
    request_here("PUT", host, 60).raise_for_status()
    place = servers.rabbitmq_url.rpartition("@")[2]
    try:
        for _ in range(2):  # each start of a stack repeats this
            rabbitmq.provision(servers.rabbitmq_management_url, servers.broker_passwords, name)
        yield lambda account: f"amqp://{account}:{servers.broker_passwords[account]}@{place}{name}"
    finally:
        request_here("DELETE", host, 60).raise_for_status()


@pytest.fixture(scope="module")
def declared(broker: Callable[[str], str]) -> Callable[[str], str]:
    assert "payments.events" in declare(broker("topology"), wait_seconds=60)
    declare(broker("topology"), wait_seconds=60)
    do(broker("worker-orders"), lambda channel: channel.exchange_declare("celery.pidbox", "fanout"))
    return broker


def publish(exchange: str, key: str) -> Action:
    return lambda channel: channel.basic_publish(exchange, key, b"{}", mandatory=True)


def take(queue: str) -> Action:
    return lambda channel: channel.basic_get(queue)


def bind(queue: str, key: str) -> Action:
    return lambda channel: channel.queue_bind(queue, "holdfast.events", key)


def passive(queue: str) -> Action:
    return lambda channel: channel.queue_declare(queue, passive=True)


def probe(channel: BlockingChannel) -> None:
    channel.queue_declare("holdfast.retry.1s", passive=True)
    with pytest.raises(UnroutableError):
        publish("holdfast.retry.probe", "")(channel)


ALLOWED: list[tuple[str, str, Action]] = [
    ("worker-inventory", "takes from its queue", take("inventory.events")),
    ("worker-inventory", "sends its event to a delay queue", publish("holdfast.retry.600s", "inventory.events")),
    ("worker-inventory", "probes the way to the delay queues", probe),
    ("worker-inventory", "sends its event to the dead letters", publish("holdfast.dead", "inventory.events")),
    ("worker-inventory", "publishes a failed attempt", publish("holdfast.events", "attempt.failed.v1")),
    ("worker-operations", "takes a dead letter", take("operations.dead-letters")),
    ("worker-operations", "replays", publish("", "orders.events")),
    ("worker-notifications", "follows its subscriptions", bind("notifications.events", "stock.sold.v1")),
    (
        "worker-notifications",
        "holds the lock of its bindings",
        lambda channel: channel.queue_declare("holdfast.bindings.notifications", exclusive=True),
    ),
    ("relay", "publishes", publish("holdfast.events", "order.placed.v1")),
    ("scheduler", "counts", passive("orders.events")),
]
FORBIDDEN: list[tuple[str, str, Action]] = [
    ("worker-inventory", "puts into the payments queue", publish("", "payments.events")),
    (
        "worker-inventory",
        "puts into the payments queue by a delay queue",
        publish("holdfast.retry.1s", "payments.events"),
    ),
    ("worker-inventory", "takes from the payments queue", take("payments.events")),
    ("worker-inventory", "empties the payments queue", lambda channel: channel.queue_purge("payments.events")),
    ("worker-inventory", "deletes its queue", lambda channel: channel.queue_delete("inventory.events")),
    ("worker-inventory", "declares a queue", lambda channel: channel.queue_declare("mine")),
    ("worker-inventory", "subscribes to more than it should", bind("inventory.events", "#")),
    ("worker-notifications", "binds its queue to everything", bind("notifications.events", "#")),
    ("worker-notifications", "binds another queue", bind("orders.events", "stock.sold.v1")),
    ("worker-notifications", "puts into the payments queue", publish("", "payments.events")),
    ("worker-inventory", "publishes an event as if it were orders", publish("holdfast.events", "order.placed.v1")),
    ("worker-inventory", "forges a dead letter of payments", publish("holdfast.dead", "payments.events")),
    ("worker-inventory", "reads dead letters", take("operations.dead-letters")),
    ("worker-inventory", "gives orders to workers", publish("celery.pidbox", "")),
    ("worker-operations", "publishes an event", publish("holdfast.events", "order.placed.v1")),
    ("relay", "takes from a queue", take("orders.events")),
    ("relay", "puts into a queue", publish("", "orders.events")),
    ("relay", "writes dead letters", publish("holdfast.dead", "orders.events")),
    ("scheduler", "takes from a queue", take("orders.events")),
    ("scheduler", "publishes", publish("holdfast.events", "order.placed.v1")),
    ("topology", "publishes an event", publish("holdfast.events", "order.placed.v1")),
    ("flower", "gives orders to workers", publish("celery.pidbox", "")),
    ("flower", "takes from a queue", take("orders.events")),
    ("flower", "publishes an event", publish("holdfast.events", "order.placed.v1")),
    ("monitor", "takes from a queue", take("orders.events")),
]


def do(url: str, action: Action) -> None:
    with pika.BlockingConnection(pika.URLParameters(url)) as connection:
        channel = connection.channel()
        channel.confirm_delivery()
        action(channel)


@pytest.mark.parametrize(("account", "what", "action"), ALLOWED, ids=lambda value: value if type(value) is str else "")
def test_an_account_may_use_its_privileges(
    declared: Callable[[str], str], account: str, what: str, action: Action
) -> None:
    do(declared(account), action)


@pytest.mark.parametrize(
    ("account", "what", "action"), FORBIDDEN, ids=lambda value: value if type(value) is str else ""
)
def test_an_account_may_not_exceed_its_privileges(
    declared: Callable[[str], str], account: str, what: str, action: Action
) -> None:
    with pytest.raises(ChannelClosedByBroker) as refusal:
        do(declared(account), action)
    assert refusal.value.reply_code == REFUSED


def test_a_management_account_is_read_only(servers: Servers, declared: Callable[[str], str]) -> None:
    place = servers.rabbitmq_management_url.rpartition("@")[2]
    for account in ("monitor", "flower"):
        base = f"http://{account}:{servers.broker_passwords[account]}@{place}/api"
        assert request_here("GET", f"{base}/queues", 60).status_code == 200
        assert request_here("GET", f"{base}/users", 60).status_code in {401, 403}
        assert request_here("DELETE", f"{base}/vhosts/{declared('relay').rpartition('/')[2]}", 60).status_code in {
            401,
            403,
        }


def test_a_role_connects_only_to_its_own_database(servers: Servers) -> None:
    own = servers.database_urls["orders"].replace("+psycopg2", "")
    psycopg2.connect(own).close()
    for other in ("payments", "users", "inventory", "postgres", "template1"):
        with pytest.raises(psycopg2.OperationalError, match="permission denied for database"):
            psycopg2.connect(own.rpartition("/")[0] + "/" + other)
    with psycopg2.connect(own) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT rolsuper, rolcreatedb, rolcreaterole FROM pg_roles WHERE rolname = current_user")
        assert cursor.fetchone() == (False, False, False)
    connection.close()


def test_a_document_account_accesses_only_its_own_database(servers: Servers) -> None:
    with MongoClient[dict[str, object]](servers.document_urls["archive"]) as client:
        client["archive"]["test-accounts"].insert_one({})
        client["archive"]["test-accounts"].drop()
        for action in (
            client["operations"]["letters"].find_one,
            lambda: client["operations"]["letters"].insert_one({}),
            client["admin"]["system.users"].find_one,
            lambda: client["archive"].command("createUser", "me", pwd="x", roles=[]),
        ):
            with pytest.raises(OperationFailure) as refusal:
                action()
            assert refusal.value.code == UNAUTHORIZED


def test_a_reader_of_events_has_only_read_access_to_them(servers: Servers) -> None:
    with (
        MongoClient[dict[str, object]](servers.document_urls["archive"]) as owner,
        MongoClient[dict[str, object]](servers.document_urls["live"]) as client,
    ):
        owner["archive"]["test-accounts"].insert_one({})
        events = client["archive"]["events"]
        events.find_one({"position": {"$gt": 0}})
        events.watch([{"$match": {"operationType": "insert"}}]).close()
        for action in (
            lambda: events.insert_one({}),
            lambda: events.update_one({}, {"$set": {"seen": 1}}, upsert=True),
            lambda: events.delete_one({}),
            events.drop,
            lambda: events.create_index("seen"),
            client["archive"]["test-accounts"].find_one,
            client["archive"].list_collection_names,
            client["archive"].watch,
            client["operations"]["letters"].find_one,
            client["local"]["oplog.rs"].find_one,
            client["admin"]["system.users"].find_one,
        ):
            with pytest.raises(OperationFailure) as refusal:
                action()
            assert refusal.value.code == UNAUTHORIZED
        owner["archive"]["test-accounts"].drop()


def test_the_bridge_reads_events_and_writes_its_own_database(servers: Servers) -> None:
    with MongoClient[dict[str, object]](servers.document_urls["bridge"]) as client:
        client["archive"]["events"].find_one({"position": {"$gt": 0}})
        client["bridge"]["test-accounts"].insert_one({})
        client["bridge"]["test-accounts"].drop()
        for action in (
            lambda: client["archive"]["events"].insert_one({}),
            lambda: client["archive"]["positions"].insert_one({}),
            client["operations"]["letters"].find_one,
        ):
            with pytest.raises(OperationFailure) as refusal:
                action()
            assert refusal.value.code == UNAUTHORIZED
