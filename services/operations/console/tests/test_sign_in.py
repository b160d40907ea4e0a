"""Signing in and out, and requests without a session or from another origin."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from common.tests.sample_service import token
from common.tests.tcp_proxy import Link
from services.operations import usecases
from services.operations.console.blueprint import FRAGMENT
from services.operations.console.security import COOKIE, POLICY
from services.operations.console.tests.conftest import NAME, PASSWORD, csrf_of, sign_in

if TYPE_CHECKING:
    from collections.abc import Callable

    from flask import Flask
    from flask.testing import FlaskClient
    from pymongo.database import Database

    from services.operations.console.tests.fake_services import Fakes

pytestmark = pytest.mark.integration


def cookie_line(headers: list[str]) -> str:
    return next(line for line in headers if line.startswith(f"{COOKIE}="))


def test_an_operator_signs_in_and_the_password_is_sent_only_to_users(anyone: FlaskClient, others: Fakes) -> None:
    reply = sign_in(anyone, next="/console/nothing?a=1")
    assert (reply.status_code, reply.headers["Location"]) == (303, "/console/nothing?a=1")
    sent = others["users"].last("POST /api/v1/tokens")
    assert sent.body == {"username": NAME, "password": PASSWORD}
    assert sent.headers["X-Forwarded-For"] == "127.0.0.1"
    assert anyone.get("/").status_code == 200


def test_an_operator_may_sign_in_by_email(anyone: FlaskClient, others: Fakes) -> None:
    sign_in(anyone, name="olga@example.com")
    assert others["users"].last("POST /api/v1/tokens").body == {"email": "olga@example.com", "password": PASSWORD}


def test_the_cookie_is_same_site_and_secure_behind_tls(anyone: FlaskClient) -> None:
    plain = cookie_line(sign_in(anyone).headers.getlist("Set-Cookie"))
    assert all(word in plain for word in ("HttpOnly", "SameSite=Strict", "Path=/", "Max-Age=3600"))
    assert "Secure" not in plain
    form = {"csrf": csrf_of(anyone.get("/console/sign-in")), "name": NAME, "password": PASSWORD}
    secure = anyone.post("/console/sign-in", data=form, headers={"X-Forwarded-Proto": "https"})
    assert "Secure" in cookie_line(secure.headers.getlist("Set-Cookie"))


@pytest.mark.parametrize(
    "target", ["//evil.example/", "https://evil.example/", "/\\evil.example", "/docs", "/api/v1/x"]
)
def test_sign_in_redirects_only_to_console_paths(anyone: FlaskClient, target: str) -> None:
    assert sign_in(anyone, next=target).headers["Location"] == "/"


@pytest.mark.parametrize(
    ("status", "body", "shown"),
    [
        (401, {"detail": "x", "code": "invalid_credentials"}, "Name or password is wrong."),
        (422, {"detail": "x", "errors": {"username": ["odd"]}}, "Name or password is wrong."),
        (429, {"detail": "too many requests"}, "too many requests."),
        (503, {"detail": "try again"}, "The users service does not answer"),
        (200, b"<html>", "The users service does not answer"),
    ],
)
def test_a_failed_sign_in_shows_its_reason(
    anyone: FlaskClient, others: Fakes, status: int, body: Any, shown: str
) -> None:
    others["users"].answers["POST /api/v1/tokens"] = (status, body)
    reply = sign_in(anyone)
    assert reply.status_code == (503 if status == 200 else status)
    assert shown in reply.text
    assert f'value="{NAME}"' in reply.text
    assert PASSWORD not in reply.text
    assert anyone.get_cookie(COOKIE) is None


def test_a_customer_cannot_sign_in(anyone: FlaskClient, others: Fakes) -> None:
    reply = {"access_token": token(role="customer"), "token_type": "Bearer", "expires_in": 3600}
    others["users"].answers["POST /api/v1/tokens"] = (200, reply)
    assert sign_in(anyone).status_code == 403
    assert anyone.get("/").status_code == 303


@pytest.mark.parametrize("path", ["/", "/console/nothing"])
def test_a_page_without_a_session_redirects_to_sign_in(anyone: FlaskClient, path: str) -> None:
    reply = anyone.get(path)
    assert reply.status_code == 303
    assert reply.headers["Location"].startswith("/console/sign-in?next=")
    assert anyone.get(path, headers={FRAGMENT: "1"}).status_code == 401


def test_a_form_without_a_session_is_rejected(anyone: FlaskClient) -> None:
    reply = anyone.post("/console/nothing", follow_redirects=True)
    assert "was not executed" in reply.text


@pytest.mark.parametrize(
    "headers", [{"Origin": "https://evil.example"}, {"Sec-Fetch-Site": "cross-site"}, {"Origin": "null"}]
)
def test_a_form_from_another_origin_is_rejected(operator: FlaskClient, headers: dict[str, str]) -> None:
    csrf = csrf_of(operator.get("/"))
    assert operator.post("/console/sign-out", data={"csrf": csrf}, headers=headers).status_code == 403
    assert operator.get("/").status_code == 200


@pytest.mark.parametrize("csrf", ["", "0" * 64, "ä"])
def test_a_form_without_the_sessions_csrf_token_is_rejected(operator: FlaskClient, csrf: str) -> None:
    assert operator.post("/console/sign-out", data={"csrf": csrf}).status_code == 403
    assert operator.get("/").status_code == 200


def test_a_sign_in_form_from_another_browser_is_rejected(app: Flask) -> None:
    stolen = csrf_of(app.test_client().get("/console/sign-in"))
    form = {"csrf": stolen, "name": NAME, "password": PASSWORD}
    assert app.test_client().post("/console/sign-in", data=form).status_code == 403


def test_two_tabs_share_the_sign_in_form_and_session(anyone: FlaskClient) -> None:
    first, second = csrf_of(anyone.get("/console/sign-in")), csrf_of(anyone.get("/console/sign-in"))
    assert first == second
    sign_in(anyone)
    csrf = csrf_of(anyone.get("/"))
    assert anyone.post("/console/sign-out", data={"csrf": csrf}).status_code == 303
    assert anyone.get("/").status_code == 303


def test_an_ended_session_is_invalid_in_every_browser(app: Flask, operator: FlaskClient) -> None:
    copy = app.test_client()
    kept = operator.get_cookie(COOKIE)
    assert kept
    copy.set_cookie(COOKIE, kept.value)
    assert copy.get("/").status_code == 200
    operator.post("/console/sign-out", data={"csrf": csrf_of(operator.get("/"))})
    assert copy.get("/").status_code == 303


def test_the_api_ignores_the_session(operator: FlaskClient) -> None:
    assert operator.get("/api/v1/system").status_code == 401
    assert operator.post("/api/v1/dead-letters/replay", json={}).status_code == 401


def test_every_page_forbids_foreign_scripts_and_frames(operator: FlaskClient) -> None:
    for path in ("/", "/console/nothing", "/console/static/console.js"):
        reply = operator.get(path)
        reply.close()
        assert reply.headers["Content-Security-Policy"] == POLICY
        assert reply.headers["X-Frame-Options"] == "DENY"
    assert "unsafe" not in POLICY


def test_a_cached_session_stays_valid_while_mongodb_is_down(
    make_app: Callable[..., Flask],
    store: Database[dict[str, Any]],
    document_store: str,
    others: Fakes,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert store is not None
    monkeypatch.setattr(usecases, "COUNT_SECONDS", 1.0)
    with Link(document_store) as link:
        client = make_app(link.url, metrics_urls=others.metrics_urls, mongodb_timeout_seconds=10).test_client()
        sign_in(client)
        link.cut()
        page = client.get("/")
        assert page.status_code == 200
        assert "MongoDB: does not answer" in page.text
        client.delete_cookie(COOKIE)
        client.set_cookie(COOKIE, "a session that this process has not seen")
        reply = client.get("/")
        assert (reply.status_code, "MongoDB does not answer" in reply.text) == (503, True)
        client.delete_cookie(COOKIE)
        assert sign_in(client).status_code == 303
        assert client.get("/").status_code == 200
