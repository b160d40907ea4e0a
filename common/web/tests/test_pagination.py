import pytest

from common.tests.sample_service import answer, bearer, make_app
from common.web.pagination import Page, render_page

_ID = "01a20387-a2fb-7181-b4c2-bce6d0ae57c5"


def test_a_page_says_whether_there_are_more() -> None:
    client = make_app().test_client()
    page = answer(client.get("/things?limit=3", headers=bearer()))
    assert [row["name"] for row in page["data"]] == ["thing 0", "thing 1", "thing 2"]
    assert (page["object"], page["has_more"], page["url"]) == ("list", True, "/things")


def test_the_last_page_has_no_more() -> None:
    with make_app().test_request_context("/things"):
        assert render_page([{"n": 1}, {"n": 2}], Page(limit=2))["has_more"] is False
        assert render_page([], Page(limit=2))["data"] == []


def test_without_a_limit_twenty() -> None:
    assert len(answer(make_app().test_client().get("/things", headers=bearer()))["data"]) == 20


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("limit=0", "limit"),
        ("limit=101", "limit"),
        ("limit=-1", "limit"),
        ("limit=1.5", "limit"),
        ("limit=", "limit"),
        ("limit=1_0", "limit"),
        ("limit=%20%201", "limit"),
        ("limit=%D9%A1", "limit"),
        ("limit=" + "9" * 5000, "limit"),
        ("starting_after=", "starting_after"),
        ("starting_after=x", "starting_after"),
        (f"starting_after={_ID}x", "starting_after"),
        (f"starting_after={_ID}%0A", "starting_after"),
        ("page=1", "page"),
    ],
)
def test_a_malformed_cursor_or_limit_is_named(query: str, field: str) -> None:
    reply = make_app().test_client().get(f"/things?{query}", headers=bearer())
    assert (reply.status_code, answer(reply)["code"]) == (422, "invalid_request")
    assert field in answer(reply)["errors"]


def test_a_cursor_is_an_id() -> None:
    assert make_app().test_client().get(f"/things?starting_after={_ID}", headers=bearer()).status_code == 200
