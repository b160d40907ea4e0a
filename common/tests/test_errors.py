"""Which class of the tree each library's exceptions are. Where a server is needed, a real one says so elsewhere."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

import amqp.exceptions
import bson.errors
import kombu.exceptions
import pika.exceptions
import psycopg2
import psycopg2.errors
import pymongo.errors
import pytest
import requests
import sqlalchemy.exc
import stripe
from sqlalchemy import text

from common.errors import (
    Conflict,
    Contention,
    HoldfastError,
    LockTimeout,
    Malformed,
    NotFound,
    Rejected,
    Transient,
    Unavailable,
    Undecided,
    classify,
)
from common.messaging.events import InvalidEventError
from common.storage.postgresql import make_engine, transaction

if TYPE_CHECKING:
    from collections.abc import Callable

UNAVAILABLE = [
    psycopg2.OperationalError("server closed the connection"),
    psycopg2.InterfaceError("connection already closed"),
    sqlalchemy.exc.OperationalError("SELECT", {}, psycopg2.OperationalError("refused")),
    sqlalchemy.exc.TimeoutError("pool"),
    pymongo.errors.ServerSelectionTimeoutError("none"),
    pymongo.errors.NetworkTimeout("late"),
    pymongo.errors.NotPrimaryError("stepped down"),
    pymongo.errors.WaitQueueTimeoutError("pool"),
    pymongo.errors.ExecutionTimeout("maxTimeMS", 50),
    pymongo.errors.WTimeoutError("majority", 64),
    pymongo.errors.OperationFailure("Authentication failed", 18),
    pymongo.errors.OperationFailure("not authorized", 13),
    pymongo.errors.OperationFailure("no space left on device", 14031),
    pika.exceptions.AMQPConnectionError(),
    pika.exceptions.ChannelWrongStateError(),
    pika.exceptions.ConnectionClosedByBroker(320, "forced"),
    amqp.exceptions.ConnectionForced("shutdown"),
    amqp.exceptions.InternalError("no majority of the queue's nodes"),
    amqp.exceptions.MessageNacked(),
    amqp.exceptions.NotFound("no exchange"),
    amqp.exceptions.AccessRefused("no right"),
    amqp.exceptions.ChannelError("returned"),
    kombu.exceptions.OperationalError("refused"),
    requests.ConnectionError(),
    requests.ConnectTimeout(),
    requests.ReadTimeout(),
    stripe.APIConnectionError("down"),
    stripe.RateLimitError("slow down"),
    stripe.APIError("500"),
    stripe.AuthenticationError("key"),
    stripe.PermissionError("key"),
    ConnectionRefusedError(),
    ConnectionResetError(),
    TimeoutError(),
    Unavailable("down"),
]
REJECTED = [
    amqp.exceptions.ContentTooLarge("too large"),
    pymongo.errors.DocumentTooLarge("16 MB"),
    pymongo.errors.WriteError("too large", 10334),
    pymongo.errors.OperationFailure("nested", 15),
    bson.errors.InvalidDocument("key"),
    stripe.InvalidRequestError("no such card", "payment_method"),
    InvalidEventError("no"),
    NotFound("no"),
    Conflict("no"),
    Malformed("no"),
]
TRANSIENT = [
    amqp.exceptions.PreconditionFailed("inequivalent arg"),
    ValueError("a bug"),
    KeyError("a bug"),
    MemoryError(),
    psycopg2.ProgrammingError("no such table"),
    pymongo.errors.DuplicateKeyError("twice", 11000),
    pymongo.errors.OperationFailure("whatever", 99999),
    stripe.IdempotencyError("in flight"),
    OSError(28, "No space left on device"),
]


def named(error: BaseException) -> str:
    return f"{type(error).__module__}.{type(error).__name__}"


@pytest.mark.parametrize("error", UNAVAILABLE, ids=named)
def test_an_outage(error: Exception) -> None:
    assert classify(error) is Unavailable


@pytest.mark.parametrize("error", REJECTED, ids=named)
def test_never(error: Exception) -> None:
    assert classify(error) is Rejected


@pytest.mark.parametrize("error", TRANSIENT, ids=named)
def test_what_is_unknown_may_succeed_later(error: Exception) -> None:
    assert classify(error) is Transient


def test_two_transactions_that_met() -> None:
    assert classify(pymongo.errors.OperationFailure("write conflict", 112)) is Contention
    assert classify(Contention("met")) is Contention


def test_what_somebody_else_decides_is_no_outage() -> None:
    assert classify(Undecided("processing")) is Undecided
    assert not issubclass(Undecided, Unavailable)
    assert classify(LockTimeout("held")) is LockTimeout


@pytest.mark.integration
@pytest.mark.parametrize(
    ("state", "kind"),
    [
        ("40001", Contention),
        ("40P01", Contention),
        ("55P03", LockTimeout),
        ("57014", Unavailable),
        ("57P01", Unavailable),
        ("53100", Unavailable),
        ("53300", Unavailable),
        ("58030", Unavailable),
        ("25006", Unavailable),
        ("08006", Unavailable),
        ("23505", Transient),
        ("42P01", Transient),
        ("P0001", Transient),
    ],
)
def test_what_postgresql_says(database: Callable[[], str], state: str, kind: type[HoldfastError]) -> None:
    engine = make_engine(database(), pool_size=1, timeout_seconds=5, name="test")
    statement = text(f"DO $$ BEGIN RAISE EXCEPTION 'on request' USING ERRCODE = '{state}'; END $$")
    with pytest.raises(sqlalchemy.exc.DBAPIError) as caught, transaction(engine) as connection:
        connection.execute(statement)
    assert classify(caught.value) is kind
    engine.dispose()


@pytest.mark.integration
def test_a_postgresql_that_takes_too_long_is_down(database: Callable[[], str]) -> None:
    engine = make_engine(database(), pool_size=1, timeout_seconds=0.3, name="test")
    with pytest.raises(sqlalchemy.exc.DBAPIError) as caught, transaction(engine) as connection:
        connection.execute(text("SELECT pg_sleep(5)"))
    assert classify(caught.value) is Unavailable
    engine.dispose()


def test_a_postgresql_that_is_not_there_is_down() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    engine = make_engine(f"postgresql+psycopg2://u:p@127.0.0.1:{port}/d", pool_size=1, timeout_seconds=1, name="test")
    with pytest.raises(sqlalchemy.exc.DBAPIError) as caught, transaction(engine):
        pass
    assert classify(caught.value) is Unavailable


def test_codes_are_stable_and_can_be_made_more_precise() -> None:
    assert (NotFound("no").code, NotFound("no", code="no_such_order").code) == ("not_found", "no_such_order")
    assert (NotFound.status, Rejected.status, Unavailable.status, Transient.status) == (404, 422, 503, 500)
