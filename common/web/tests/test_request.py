import re

import pytest
from flask import Flask

from common.errors import Malformed
from common.tests.sample_service import answer, bearer, make_app
from common.web.request import idempotency_key, request_key

_UUID7 = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
_TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


def _show(**headers: str) -> dict[str, str]:
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    shown: dict[str, str] = answer(make_app().test_client().get("/things/a", headers=bearer() | names))
    return shown


def test_a_plain_request_id_is_taken_over() -> None:
    assert _show(Request_Id="Order-42.b_c")["id"] == "Order-42.b_c"
    assert _show(Request_Id="x" * 128)["id"] == "x" * 128


@pytest.mark.parametrize("given", ["", "x" * 129, "a b", "a/b", "ä"])
def test_any_other_request_id_is_replaced(given: str) -> None:
    assert _UUID7.fullmatch(_show(Request_Id=given)["id"])


def test_a_valid_traceparent_is_carried_on() -> None:
    assert _show(traceparent=_TRACE)["traceparent"] == _TRACE


@pytest.mark.parametrize("given", ["", "ff" + _TRACE[2:], "00-" + "0" * 32 + _TRACE[35:], _TRACE.upper(), _TRACE + "x"])
def test_any_other_traceparent_is_replaced(given: str) -> None:
    made = _show(traceparent=given)["traceparent"]
    assert re.fullmatch(r"00-[0-9a-f]{32}-[0-9a-f]{16}-01", made)
    assert made != given


@pytest.mark.parametrize(
    ("given", "key"),
    [
        ("abc", "abc"),
        ('"abc"', "abc"),
        (r'"a \"b\" \\c"', r'a "b" \c'),
        ("a b!~", "a b!~"),
        ("k" * 255, "k" * 255),
        ('"' + "k" * 255 + '"', "k" * 255),
    ],
)
def test_an_idempotency_key_is_bare_or_quoted(given: str, key: str) -> None:
    with Flask(__name__).test_request_context(headers={"Idempotency-Key": given}):
        assert idempotency_key() == key


@pytest.mark.parametrize("given", ["", '""', '"abc', '"a"b"', r'"a\b"', "k" * 256, "k" * 10_000, "ä", "a\tb"])
def test_a_malformed_idempotency_key_is_refused(given: str) -> None:
    with (
        Flask(__name__).test_request_context(headers={"Idempotency-Key": given}),
        pytest.raises(Malformed) as caught,
    ):
        idempotency_key()
    assert (caught.value.status, caught.value.code) == (400, "invalid_idempotency_key")


def test_a_missing_key_is_refused_only_where_one_is_needed() -> None:
    with Flask(__name__).test_request_context():
        assert idempotency_key() is None
        assert request_key() is None
        with pytest.raises(Malformed) as caught:
            idempotency_key(required=True)
    assert caught.value.code == "idempotency_key_missing"


def test_secrets_stay_out_of_the_fingerprint() -> None:
    def fingerprint(body: dict[str, str]) -> str:
        with Flask(__name__).test_request_context("/a", method="POST", json=body, headers={"Idempotency-Key": "k"}):
            key = request_key(secrets=("password",))
        assert key is not None
        return key.fingerprint

    assert fingerprint({"name": "a", "password": "1"}) == fingerprint({"password": "2", "name": "a"})
    assert fingerprint({"name": "a", "password": "1"}) != fingerprint({"name": "b", "password": "1"})
