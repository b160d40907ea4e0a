"""An empty database of notifications with its indexes, its app, and a dispatcher."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from common.storage.mongodb import connect
from common.tests.sample_service import VERIFIER
from common.tests.webhook_receiver import receiving
from common.web.guarded_http import GuardedClient
from common.web.public_addresses import parse_networks
from services.notifications import migrations
from services.notifications.dispatching import Dispatcher
from services.notifications.domain import Policy
from services.notifications.main import Settings, create_app
from services.notifications.signing import SecretBox
from services.notifications.tests.builders import KEY
from services.notifications.usecases import Rules

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from flask.testing import FlaskClient
    from pymongo.database import Database

    from common.tests.webhook_receiver import Receiver


@pytest.fixture
def document_store(migrated_store: Callable[..., str]) -> str:
    return migrated_store(migrations)


@pytest.fixture
def store(document_store: str) -> Iterator[Database[dict[str, Any]]]:
    database = connect(document_store, timeout_seconds=60, name="test-notifications", pool_size=20)
    yield database
    database.client.close()


@pytest.fixture
def client(store: Database[dict[str, Any]], document_store: str) -> Iterator[FlaskClient]:
    assert store is not None  # its indexes exist
    settings = Settings(
        log_level="WARNING",
        service_port=1,
        service_host="127.0.0.1",
        service_threads=4,
        jwks_url="http://127.0.0.1:1/",
        mongodb_url=document_store,
        mongodb_timeout_seconds=60,
        webhook_secret_keys=KEY,
        webhook_allowed_networks="127.0.0.0/8",
        webhook_endpoints_per_owner=3,
    )
    app = create_app(settings, verifier=VERIFIER)
    yield app.test_client()
    app.extensions["context"].store.database.client.close()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as found:
        yield found


@pytest.fixture
def make_dispatcher(store: Database[dict[str, Any]]) -> Iterator[Callable[..., Dispatcher]]:
    """A dispatcher with a given policy; loopback addresses are allowed."""
    made: list[GuardedClient] = []

    def make(seconds: float = 60.0, **policy: Any) -> Dispatcher:
        allowed = parse_networks("127.0.0.0/8")
        http = GuardedClient(allowed, seconds=seconds, max_answer_bytes=1024)
        made.append(http)
        rules = Rules(box=SecretBox(KEY), allowed=allowed, policy=Policy(**policy), endpoints_per_owner=100)
        return Dispatcher(store, http, rules)

    yield make
    for http in made:
        http.close()
