"""The pages of dead letters on a real store: groups, details, replays, discarding."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from common.messaging.events import new_id
from services.operations import usecases
from services.operations.console.tests.conftest import csrf_of
from services.operations.tests.dead_letters import QUEUE, dead, file, happening

if TYPE_CHECKING:
    from flask.testing import FlaskClient
    from pymongo.database import Database

    Store = Database[dict[str, Any]]

pytestmark = pytest.mark.integration
XSS = '<img src=x onerror="alert(1)">'
LIST = "/console/dead-letters"
INVALID = "common.messaging.events.InvalidEventError"


def post(client: FlaskClient, path: str, **form: str) -> Any:
    return client.post(path, data={"csrf": csrf_of(client.get("/console/nothing")), **form})


def test_an_empty_list_is_shown(operator: FlaskClient) -> None:
    assert "No event waits for a decision" in operator.get(LIST).text
    assert "None is discarded" in operator.get(f"{LIST}?status=discarded").text


def test_dead_letters_are_grouped_by_consumer_and_error(operator: FlaskClient, store: Store) -> None:
    for _ in range(3):
        file(store, dead(error_class="shop.OutOfTea"))
    other = file(store, dead(error_class="builtins.KeyError"))
    page = operator.get(LIST).text
    assert page.index(">OutOfTea<") < page.index(">KeyError<")
    chosen = operator.get(f"{LIST}?queue={QUEUE}&error=builtins.KeyError").text
    assert f"{LIST}/{other}" in chosen
    assert chosen.count('<th scope="row"><a href="/console/dead-letters/') == 1


def test_long_lists_are_paginated_by_cursor(operator: FlaskClient, store: Store) -> None:
    ids = [file(store) for _ in range(26)]
    first = operator.get(LIST).text
    assert ids[0] not in first
    assert f"starting_after={ids[1]}" in first
    assert ids[0] in operator.get(f"{LIST}?starting_after={ids[1]}").text


def test_a_dead_letter_is_shown_in_full_with_markup_escaped(operator: FlaskClient, store: Store) -> None:
    event = happening(data={"name": XSS})
    letter_id = file(store, dead(event, error=XSS, traceback=f"Traceback {XSS}", error_class=XSS))
    for path in (LIST, f"{LIST}/{letter_id}"):
        page = operator.get(path).text
        assert XSS not in page
        assert "&lt;img src=x" in page
    assert event.id in operator.get(f"{LIST}/{letter_id}").text


def test_a_malformed_event_is_shown_as_received(operator: FlaskClient, store: Store) -> None:
    page = operator.get(f"{LIST}/{file(store, dead(b'half a json'))}").text
    assert "half a json" in page
    assert "Edit, then replay" not in page


def test_a_replay_is_requested_as_the_operator(operator: FlaskClient, store: Store) -> None:
    letter_id = file(store)
    reply = post(operator, f"{LIST}/{letter_id}/replay")
    assert reply.status_code == 303
    page = operator.get(reply.headers["Location"]).text
    assert "A replay is in progress" in page
    kept = store["letters"].find_one({"_id": letter_id})
    assert kept
    assert (kept["status"], kept["history"][-1]["by"]) == ("replaying", "u1")


def test_an_edited_event_is_checked_before_it_is_sent(operator: FlaskClient, store: Store) -> None:
    event = happening()
    letter_id = file(store, dead(event))
    path = f"{LIST}/{letter_id}/replay"
    for bad in ("{", "[]", json.dumps({"id": "x"})):
        assert post(operator, path, event=bad).status_code == 422
    edited = event.to_document() | {"data": {"fixed": True}}
    assert post(operator, path, event=json.dumps(edited)).status_code == 303
    assert "edited" in operator.get(f"{LIST}/{letter_id}").text


def test_discarding_requires_a_reason_and_is_recorded(operator: FlaskClient, store: Store) -> None:
    letter_id = file(store)
    assert post(operator, f"{LIST}/{letter_id}/discard", reason=" ").status_code == 422
    assert post(operator, f"{LIST}/{letter_id}/discard", reason="test data").status_code == 303
    assert "test data" in operator.get(f"{LIST}/{letter_id}").text
    assert letter_id in operator.get(f"{LIST}?status=discarded").text


def test_a_group_is_replayed_once_if_the_form_is_sent_repeatedly(operator: FlaskClient, store: Store) -> None:
    for _ in range(3):
        file(store, dead(error_class="shop.OutOfTea"))
    file(store)
    form = {"queue": QUEUE, "error": "shop.OutOfTea", "rate": "5", "key": new_id()}
    places = {post(operator, f"{LIST}/replay", **form).headers["Location"] for _ in range(2)}
    assert len(places) == 1
    page = operator.get(places.pop()).text
    assert "Running: 0 of 3 replayed." in page
    assert store["jobs"].count_documents({}) == 1


@pytest.mark.parametrize("rate", ["0", "1001", "fast", "nan"])
def test_the_replay_rate_is_bounded(operator: FlaskClient, rate: str) -> None:
    assert post(operator, f"{LIST}/replay", rate=rate, key=new_id()).status_code == 422


@pytest.mark.parametrize("path", [f"{LIST}/x", f"{LIST}/{new_id()}", f"{LIST}/replays/{new_id()}"])
def test_an_unknown_dead_letter_is_404(operator: FlaskClient, path: str) -> None:
    assert operator.get(path).status_code == 404


def test_an_invalid_event_offers_edit_or_discard(operator: FlaskClient, store: Store) -> None:
    letter_id = file(store, dead(error_class=INVALID, reason="rejected", error="order_id: Field may not be null."))
    page = operator.get(f"{LIST}/{letter_id}").text
    assert "The event itself is invalid: replaying it as it is fails again. Edit or discard it." in page
    assert '<button class="primary">Replay the edited event</button>' in page
    assert page.count('class="primary"') == 1
    assert "Safe to repeat" not in page
    assert page.count('<details class="card" open>') == 2
    listed = operator.get(LIST).text
    assert "These events are invalid" in listed
    assert "<button>Replay</button>" not in listed


def test_the_page_shows_a_replays_progress_and_outcome(operator: FlaskClient, store: Store) -> None:
    event = happening()
    letter_id = file(store, dead(event, error="the old error"))
    edited = event.to_document() | {"data": {"fixed": "nearly"}}
    place = post(operator, f"{LIST}/{letter_id}/replay", event=json.dumps(edited)).headers["Location"]
    page = operator.get(place).text
    assert '<p class="strip warn" role="status">The replay is requested. The edited event is on its way' in page
    assert 'data-refresh="1"' in page
    assert "by <span" in page
    assert ">olga</span>" in page
    assert "&#34;nearly&#34;" in page.partition('id="payload"')[2].partition("</pre>")[0]
    kept = store["letters"].find_one({"_id": letter_id})
    assert kept
    returned = dead(json.dumps(edited).encode(), letter=letter_id, replay=kept["replay"]["id"], error="no such order")
    assert usecases.file_letter(store, returned) == "returned"
    page = operator.get(place).text
    assert f'<p class="strip bad" role="status">The edited event was replayed and failed again in {QUEUE}' in page
    assert '<p class="said">no such order</p>' in page
    assert "it came here 2 times" in page
    assert 'data-refresh="3"' in page


def test_a_discarded_dead_letter_offers_no_replay_first(operator: FlaskClient, store: Store) -> None:
    letter_id = file(store)
    post(operator, f"{LIST}/{letter_id}/discard", reason="test data")
    page = operator.get(f"{LIST}/{letter_id}").text
    assert "Replay it after all" in page
    assert 'class="primary"' not in page
