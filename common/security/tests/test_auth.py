from typing import NoReturn

import pytest

from common.errors import Unavailable
from common.security.tokens import Verifier
from common.tests.sample_service import answer, bearer, make_app, token


def test_an_anonymous_client_is_asked_for_a_token() -> None:
    reply = make_app().test_client().get("/things/a")
    assert (reply.status_code, answer(reply)["code"]) == (401, "unauthenticated")
    assert reply.headers["WWW-Authenticate"] == 'Bearer realm="holdfast"'


def test_a_route_is_guarded_although_its_view_never_asks() -> None:
    client = make_app().test_client()
    assert client.get("/things").status_code == 401
    assert client.get("/things?limit=0").status_code == 401
    assert client.get("/things", headers=bearer()).status_code == 200


@pytest.mark.parametrize("header", ["", "Bearer", "Bearer ", "Basic dTpw", "nonsense", "Token abc"])
def test_other_authorization_headers_are_no_token(header: str) -> None:
    reply = make_app().test_client().get("/things/a", headers={"Authorization": header})
    assert (reply.status_code, answer(reply)["code"]) == (401, "unauthenticated")


def test_a_bad_token_is_distinguished_from_none() -> None:
    reply = make_app().test_client().get("/things/a", headers={"Authorization": "Bearer a.b.c"})
    assert (reply.status_code, answer(reply)["code"]) == (401, "invalid_token")
    assert 'error="invalid_token"' in reply.headers["WWW-Authenticate"]


def test_the_scheme_is_written_in_any_case() -> None:
    reply = make_app().test_client().get("/things/a", headers={"Authorization": f"bEaReR  {token(sub='u9')}"})
    assert answer(reply)["caller"] == "u9"


def test_only_operators_do_what_operators_do() -> None:
    client = make_app().test_client()
    refused = client.post("/things/recall", json={"name": "a"}, headers=bearer())
    assert (refused.status_code, answer(refused)["code"]) == (403, "forbidden")
    allowed = client.post("/things/recall", json={"name": "a"}, headers=bearer(role="operator"))
    assert answer(allowed) == {"by": "operator"}


def test_who_may_not_learns_nothing_about_the_body() -> None:
    client = make_app().test_client()
    assert client.post("/things/recall", data=b"{").status_code == 401
    assert client.post("/things/recall", data=b"{", headers=bearer()).status_code == 403


def test_public_routes_ignore_credentials() -> None:
    headers = {"Authorization": "Bearer nonsense"}
    assert make_app().test_client().post("/things", json={"name": "a"}, headers=headers).status_code == 201


def test_without_any_key_it_is_an_outage_not_a_refusal() -> None:
    class NoAnswer:
        def key(self, kid: str) -> NoReturn:
            raise Unavailable(f"cannot ask for {kid}")

    reply = make_app(verifier=Verifier(NoAnswer())).test_client().get("/things/a", headers=bearer())
    assert reply.status_code == 503
    assert "Retry-After" in reply.headers
