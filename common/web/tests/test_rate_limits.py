"""How many requests one caller may send; with the counts in the process, and in a MongoDB that instances share.

The quotas are per day: a minute may end during a test, and then a caller without any left is granted one more request.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import pytest

from common.security.auth import public
from common.tests.sample_service import SETTINGS, VERIFIER, answer, bearer
from common.web import app_factory, rate_limits
from common.web.openapi import Blueprint
from common.web.rate_limits import rate_limited

if TYPE_CHECKING:
    from pathlib import Path

    from flask.testing import FlaskClient
    from werkzeug.test import TestResponse


def client(routes_file: Path | None = None, **settings: Any) -> FlaskClient:
    things = Blueprint("things", __name__, url_prefix="/things")

    @things.route("")
    @things.response(200)
    def index() -> dict[str, Any]:
        return {}

    @things.route("/sign-in", methods=["POST"])
    @public
    @rate_limited
    @things.response(200)
    def sign_in() -> dict[str, Any]:
        return {}

    @things.route("/free")
    @public
    @things.response(200)
    def free() -> dict[str, Any]:
        return {}

    chosen = dataclasses.replace(SETTINGS, **settings)
    made = app_factory.create_app(
        "things", chosen, blueprints=[things], ready_checks={}, verifier=VERIFIER, routes_file=routes_file
    )
    return made.test_client()


def sign_in(app: FlaskClient, forwarded_for: str = "192.0.2.1") -> TestResponse:
    return app.post("/things/sign-in", headers={"X-Forwarded-For": forwarded_for})


def assert_refused(reply: TestResponse, policy: str, quota: int) -> None:
    assert (reply.status_code, answer(reply)["code"]) == (429, "rate_limited")
    assert reply.headers["Content-Type"] == "application/problem+json"
    assert 1 <= int(reply.headers["Retry-After"]) <= 86_402
    assert reply.headers["RateLimit-Policy"] == f'"{policy}";q={quota};w=86400'
    assert reply.headers["RateLimit"].startswith(f'"{policy}";r=0;t=')


def test_a_caller_is_limited_by_subject_and_gets_the_remaining_quota() -> None:
    app = client(rate_limit_authenticated="3/day")
    ann, bob = bearer(sub="ann"), bearer(sub="bob")
    replies = [app.get("/things", headers=ann) for _ in range(3)]
    assert [reply.status_code for reply in replies] == [200, 200, 200]
    assert [reply.headers["RateLimit"].split(";")[1] for reply in replies] == ["r=2", "r=1", "r=0"]
    assert_refused(app.get("/things", headers=ann | {"X-Forwarded-For": "192.0.2.9"}), "authenticated", 3)
    assert app.get("/things", headers=bob).status_code == 200


def test_an_anonymous_client_is_limited_by_address_on_expensive_routes() -> None:
    app = client(rate_limit_anonymous="2/day")
    assert [sign_in(app).status_code for _ in range(2)] == [200, 200]
    assert_refused(sign_in(app), "anonymous", 2)
    assert sign_in(app, "192.0.2.2").status_code == 200
    assert "RateLimit" not in app.get("/things/free", headers={"X-Forwarded-For": "192.0.2.1"}).headers
    assert "RateLimit" not in app.get("/things", headers=bearer()).headers


def test_one_route_has_a_quota_of_its_own() -> None:
    app = client(rate_limit_anonymous="9/day", rate_limit_routes="POST /things/sign-in=1/day; GET /things=2/day")
    assert sign_in(app).status_code == 200
    assert_refused(sign_in(app), "POST /things/sign-in", 1)
    assert sign_in(app, "192.0.2.2").status_code == 200
    assert [app.get("/things", headers=bearer(sub="ann")).status_code for _ in range(3)] == [200, 200, 429]
    assert app.get("/things", headers=bearer(sub="bob")).status_code == 200


def test_a_route_that_no_service_has_stops_the_process_and_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    routes = tmp_path / "routes.txt"
    routes.write_text("POST /orders\n", encoding="utf-8")
    shared = "POST /orders=1/day;POST /things/sign-in=1/day"
    assert sign_in(client(routes, rate_limit_routes=shared)).status_code == 200
    for bad in ("POST /oders", "PUT /orders", "DELETE /things"):
        with pytest.raises(SystemExit) as stopped:
            client(routes, rate_limit_routes=f"{shared};{bad}=1/day")
        assert stopped.value.code == 2
        assert capsys.readouterr().err == f"bad setting RATE_LIMIT_ROUTES: there is no route {bad}\n"


def test_of_two_quotas_for_one_route_the_last_counts() -> None:
    app = client(rate_limit_routes="GET /things=1/day;GET /things=2/day")
    assert [app.get("/things", headers=bearer()).status_code for _ in range(3)] == [200, 200, 429]


@pytest.mark.parametrize(
    ("first", "second", "same"),
    [
        ("192.0.2.1", "6.6.6.6, 192.0.2.1", True),  # what the client wrote itself does not count
        ("192.0.2.1", "192.0.2.2", False),
        ("2001:db8::1", "2001:db8::ffff:1", True),
        ("2001:db8::1", "2001:db8:0:1::1", False),
        ("nonsense", "more nonsense", True),
    ],
)
def test_addresses_of_the_same_anonymous_client(first: str, second: str, *, same: bool) -> None:
    app = client(rate_limit_anonymous="1/day")
    assert sign_in(app, first).status_code == 200
    assert sign_in(app, second).status_code == (429 if same else 200)


def test_by_default_no_caller_is_limited() -> None:
    app = client()
    replies = [app.get("/things", headers=bearer()) for _ in range(200)]
    assert {reply.status_code for reply in replies} == {200}
    assert "r=1199" in sign_in(app).headers["RateLimit"]


def test_an_anonymous_client_is_rejected_before_its_body_is_read() -> None:
    app = client(rate_limit_anonymous="1/day")
    sign_in(app)
    reply = app.post("/things/sign-in", data=b"\xff" * 100, headers={"X-Forwarded-For": "192.0.2.1"})
    assert reply.status_code == 429


@pytest.mark.integration
def test_instances_with_a_shared_store_count_together(document_store: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rate_limits, "STORE_MS", 60_000)  # a store that is late limits nothing
    settings: dict[str, Any] = {"rate_limit_anonymous": "4/day", "rate_limit_storage_url": document_store}
    one, other = client(**settings), client(**settings)
    assert [sign_in(app).status_code for app in (one, other, one, other)] == [200] * 4
    assert sign_in(one).status_code == sign_in(other).status_code == 429


def test_a_store_that_does_not_answer_limits_nothing() -> None:
    app = client(rate_limit_anonymous="1/day", rate_limit_storage_url="mongodb://127.0.0.1:1/limits")
    assert [sign_in(app).status_code for _ in range(20)] == [200] * 20
