import json

import pytest

from common.tests.sample_service import SETTINGS, answer, bearer, make_app
from common.web.app_factory import create_app


def test_a_view_that_lost_against_another_transaction_runs_again() -> None:
    assert make_app().test_client().post("/things/fail/twice").json == {"tries": 3}


def test_lasting_contention_is_reported_as_busy() -> None:
    client = make_app().test_client()
    reply = client.post("/things/fail/contention")
    assert (reply.status_code, answer(reply)["code"]) == (503, "contention")
    assert "Retry-After" in reply.headers
    assert client.post("/things/fail/not").json == {"tries": 4}


def test_a_view_that_waited_for_a_lock_is_not_made_to_wait_again() -> None:
    client = make_app().test_client()
    reply = client.post("/things/fail/locked")
    assert (reply.status_code, answer(reply)["code"]) == (503, "lock_timeout")
    assert client.post("/things/fail/locked").json == {"tries": 2}


def test_every_reply_has_the_request_id() -> None:
    client = make_app().test_client()
    for path in ("/livez", "/nowhere", "/things", "/docs", "/openapi.json", "/things/%00"):
        assert client.get(path, headers={"Request-Id": "mine"}).headers["Request-Id"] == "mine"


def test_replies_are_not_cached_by_proxies() -> None:
    assert make_app().test_client().get("/things/a", headers=bearer()).headers["Cache-Control"] == "no-store"


def test_one_line_per_request_but_none_for_probes(capsys: pytest.CaptureFixture[str]) -> None:
    app = create_app(
        "things",
        SETTINGS.__class__(**{**vars(SETTINGS), "log_level": "INFO"}),
        blueprints=[],
        ready_checks={},
        verifier=make_app().extensions["verifier"],
    )
    for path in ("/livez", "/readyz", "/metrics", "/nowhere"):
        app.test_client().get(path, headers={"Request-Id": "r"})
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    requests = [line for line in lines if line["event"] == "request"]
    assert [(line["path"], line["status"], line["correlation_id"]) for line in requests] == [("/nowhere", 404, "r")]


def test_the_context_is_at_hand() -> None:
    assert make_app(context="tools").extensions["context"] == "tools"


def test_settings_that_name_no_keys_need_a_verifier() -> None:
    with pytest.raises(TypeError, match="verifier"):
        make_app(verifier=None)
