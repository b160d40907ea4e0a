"""Sessions on a real store: their duration, and that the stored data grants no access."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from common.resilience.circuit_breaker import Breaker
from common.storage.mongodb import Store
from services.operations.sessions import COLLECTION, IDLE_SECONDS, TOUCH_SECONDS, Sessions

if TYPE_CHECKING:
    from pymongo.database import Database

pytestmark = pytest.mark.integration
NOW = datetime(2036, 1, 1, 12, tzinfo=UTC)  # MongoDB deletes expired sessions at any time
DAY_SECONDS = 24 * 3600.0


@pytest.fixture
def sessions(store: Database[dict[str, Any]]) -> Sessions:
    return another(store)


def another(store: Database[dict[str, Any]]) -> Sessions:
    """The sessions of another process."""
    return Sessions(Store(store, Breaker("mongodb", max_failures=5)))


def later(seconds: float) -> datetime:
    return NOW + timedelta(seconds=seconds)


def test_a_session_is_valid_in_another_process(sessions: Sessions, store: Database[dict[str, Any]]) -> None:
    secret, started = sessions.start("olga", "the token", seconds=DAY_SECONDS, now=NOW)
    found = another(store).find(secret, is_active=False, now=NOW)
    assert found == started
    assert (found.user, found.token) == ("olga", "the token")


def test_a_stored_session_grants_no_access(sessions: Sessions, store: Database[dict[str, Any]]) -> None:
    secret, session = sessions.start("olga", "the token", seconds=DAY_SECONDS, now=NOW)
    kept = store[COLLECTION].find_one({})
    assert kept
    text = repr(kept)
    assert all(word not in text for word in (secret, session.csrf, "the token", "olga"))
    other_end = kept["sealed"][:-1] + bytes([kept["sealed"][-1] ^ 1])
    store[COLLECTION].update_one({}, {"$set": {"sealed": other_end}})
    assert another(store).find(secret, is_active=False, now=NOW) is None


@pytest.mark.parametrize("secret", [None, "", "unknown", "x" * 5000])
def test_an_unknown_secret_is_no_session(sessions: Sessions, secret: str | None) -> None:
    assert sessions.find(secret, is_active=True) is None


def test_an_idle_session_expires(sessions: Sessions) -> None:
    secret, _ = sessions.start("olga", "t", seconds=DAY_SECONDS, now=NOW)
    assert sessions.find(secret, is_active=False, now=later(IDLE_SECONDS - 1))
    assert sessions.find(secret, is_active=True, now=later(IDLE_SECONDS)) is None


def test_requests_extend_a_session_and_automatic_refreshes_do_not(
    sessions: Sessions, store: Database[dict[str, Any]]
) -> None:
    secret, _ = sessions.start("olga", "t", seconds=DAY_SECONDS, now=NOW)
    assert sessions.find(secret, is_active=True, now=later(IDLE_SECONDS - 1))
    elsewhere = another(store)
    assert elsewhere.find(secret, is_active=False, now=later(2 * IDLE_SECONDS - 2))
    assert elsewhere.find(secret, is_active=False, now=later(2 * IDLE_SECONDS)) is None


def test_a_session_expires_with_its_token(sessions: Sessions) -> None:
    secret, _ = sessions.start("olga", "t", seconds=IDLE_SECONDS + 60, now=NOW)
    assert sessions.find(secret, is_active=True, now=later(IDLE_SECONDS - 1))
    assert sessions.find(secret, is_active=True, now=later(IDLE_SECONDS + 59))
    assert sessions.find(secret, is_active=True, now=later(IDLE_SECONDS + 60)) is None


def test_requests_rarely_write_to_the_store(sessions: Sessions, store: Database[dict[str, Any]]) -> None:
    secret, session = sessions.start("olga", "t", seconds=DAY_SECONDS, now=NOW)
    found = sessions.find(secret, is_active=True, now=later(TOUCH_SECONDS))
    assert found
    assert found.ends_at == session.ends_at


def test_signing_out_ends_the_session_in_every_process(sessions: Sessions, store: Database[dict[str, Any]]) -> None:
    secret, session = sessions.start("olga", "t", seconds=DAY_SECONDS, now=NOW)
    assert another(store).find(secret, is_active=False, now=NOW)
    sessions.end(session)
    assert sessions.find(secret, is_active=False, now=NOW) is None
    assert another(store).find(secret, is_active=False, now=NOW) is None


def test_two_sessions_have_different_secrets_and_csrf_tokens(sessions: Sessions) -> None:
    (first, one), (second, two) = (sessions.start("olga", "t", seconds=DAY_SECONDS) for _ in range(2))
    assert first != second
    assert one.csrf != two.csrf
