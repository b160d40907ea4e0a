"""The servers of the native stack meet the requirements of fixtures and services."""

from collections.abc import Callable
from typing import Any

import pika
import psycopg2
import pytest
from pika.exceptions import ProbableAuthenticationError
from pymongo import MongoClient

from infrastructure.local.sharing import Servers

pytestmark = pytest.mark.integration


def test_databases_are_fresh_and_durable(database: Callable[[], str]) -> None:
    first, second = database(), database()
    assert first != second
    connection = psycopg2.connect(first.replace("+psycopg2", ""))
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'")
        assert cursor.fetchone() == (0,)
        for setting in ("fsync", "synchronous_commit", "full_page_writes"):
            cursor.execute(f"SHOW {setting}")
            assert cursor.fetchone() == ("on",)
    connection.close()


def test_a_virtual_host_supports_quorum_queues(vhost: str) -> None:
    connection = pika.BlockingConnection(pika.URLParameters(vhost))
    channel = connection.channel()
    channel.confirm_delivery()
    channel.queue_declare("q", durable=True, arguments={"x-queue-type": "quorum"})
    channel.basic_publish("", "q", b"hello", mandatory=True)
    _, _, body = channel.basic_get("q", auto_ack=True)
    assert body == b"hello"
    connection.close()


def test_the_guest_account_does_not_exist(servers: Servers) -> None:
    url = "amqp://guest:guest@" + servers.rabbitmq_url.rpartition("@")[2]
    with pytest.raises(ProbableAuthenticationError):
        pika.BlockingConnection(pika.URLParameters(url))


def test_mongodb_supports_transactions(document_store: str) -> None:
    with MongoClient[dict[str, Any]](document_store) as client:
        store = client.get_default_database()
        assert store.list_collection_names() == []
        store.create_collection("things")
        with client.start_session() as session, session.start_transaction():
            store.things.insert_one({"_id": 1}, session=session)
            session.abort_transaction()
        assert store.things.count_documents({}) == 0
