from typing import Any

from common.tests.sample_service import answer, make_app


def _document() -> dict[str, Any]:
    document: dict[str, Any] = answer(make_app().test_client().get("/openapi.json"))
    return document


def test_the_document_is_openapi_3_1() -> None:
    assert _document()["openapi"].startswith("3.1")


def test_errors_are_documented_as_problems() -> None:
    document = _document()
    for response in document["components"]["responses"].values():
        assert list(response["content"]) == ["application/problem+json"]
    assert "request_id" in document["components"]["schemas"]["Problem"]["required"]


def test_a_token_is_documented_where_one_is_needed() -> None:
    document = _document()
    assert document["security"] == [{"bearer": []}]
    assert document["paths"]["/things"]["post"]["security"] == []
    assert "security" not in document["paths"]["/things"]["get"]


def test_the_idempotency_key_is_documented() -> None:
    names = [parameter["name"] for parameter in _document()["paths"]["/things"]["post"]["parameters"]]
    assert names == ["Idempotency-Key"]


def test_schemas_are_named_for_people() -> None:
    assert {"Thing", "Money", "ThingList"} <= set(_document()["components"]["schemas"])


def test_a_route_that_needs_a_body_refuses_a_request_without_one() -> None:
    reply = make_app().test_client().post("/things", headers={"Idempotency-Key": "k"})
    assert (reply.status_code, answer(reply)["code"]) == (400, "body_missing")
