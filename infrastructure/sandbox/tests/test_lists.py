from collections.abc import Iterator

import pytest
import stripe

from infrastructure.sandbox.tests.process import SandboxProcess, intent_of

CREATED = 25


@pytest.fixture(scope="module")
def ledger(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[SandboxProcess, list[str]]]:
    """A separate sandbox with 25 intents; yields it with their ids, newest first."""
    process = SandboxProcess(tmp_path_factory.mktemp("lists") / "data")
    try:
        client = process.start().client()
        made = [client.v1.payment_intents.create(intent_of(amount=100 + n)).id for n in range(CREATED)]
        yield process, made[::-1]
    finally:
        process.close()


def ids(page: stripe.ListObject[stripe.PaymentIntent]) -> list[str]:
    return [intent.id for intent in page.data]


def test_lists_are_newest_first_with_ten_per_page(ledger: tuple[SandboxProcess, list[str]]) -> None:
    process, newest = ledger
    page = process.client().v1.payment_intents.list()
    assert (page.to_dict()["object"], page.url, page.has_more) == ("list", "/v1/payment_intents", True)
    assert ids(page) == newest[:10]


def test_lists_are_paginated_in_both_directions(ledger: tuple[SandboxProcess, list[str]]) -> None:
    process, newest = ledger
    lists = process.client().v1.payment_intents.list
    second = lists({"limit": 10, "starting_after": newest[9]})
    assert (ids(second), second.has_more) == (newest[10:20], True)
    last = lists({"limit": 10, "starting_after": newest[19]})
    assert (ids(last), last.has_more) == (newest[20:], False)
    exact = lists({"limit": 5, "starting_after": newest[19]})
    assert (ids(exact), exact.has_more) == (newest[20:], False)
    back = lists({"limit": 10, "ending_before": newest[20]})
    assert (ids(back), back.has_more) == (newest[10:20], True)
    front = lists({"limit": 10, "ending_before": newest[10]})
    assert (ids(front), front.has_more) == (newest[:10], False)
    assert ids(lists({"starting_after": newest[-1]})) == []


@pytest.mark.parametrize("limit", [1, 7, 25, 100])
def test_stripes_auto_pagination_sees_every_object_once(ledger: tuple[SandboxProcess, list[str]], limit: int) -> None:
    process, newest = ledger
    walk = process.client().v1.payment_intents.list({"limit": limit}).auto_paging_iter()
    assert [intent.id for intent in walk] == newest


def test_pagination_is_stable_under_inserts(sandbox: SandboxProcess) -> None:
    client = sandbox.client()
    there = {client.v1.payment_intents.create(intent_of()).id for _ in range(6)}
    seen = []
    for intent in client.v1.payment_intents.list({"limit": 2}).auto_paging_iter():
        seen.append(intent.id)
        if there <= set(seen):
            break
        client.v1.payment_intents.create(intent_of())
    assert len(seen) == len(set(seen)) == 6


def test_lists_are_filtered_by_creation_time(ledger: tuple[SandboxProcess, list[str]]) -> None:
    process, newest = ledger
    client = process.client()
    first, last = (client.v1.payment_intents.retrieve(ident).created for ident in (newest[-1], newest[0]))
    lists = client.v1.payment_intents.list
    assert ids(lists({"limit": 100, "created": {"gte": first, "lte": last}})) == newest
    assert ids(lists({"created": {"lt": first}})) == ids(lists({"created": {"gt": last}})) == []
    exactly = lists({"limit": 100, "created": last}).data
    assert exactly
    assert {intent.created for intent in exactly} == {last}


def test_refunds_are_listed_by_intent(client: stripe.StripeClient) -> None:
    intents = [client.v1.payment_intents.create(intent_of(confirm=True)) for _ in range(2)]
    made = [
        client.v1.refunds.create({"payment_intent": intent.id, "amount": 1}) for intent in intents for _ in range(3)
    ]
    mine = [refund.id for refund in made[:3]][::-1]
    page = client.v1.refunds.list({"payment_intent": intents[0].id, "limit": 2})
    assert ([refund.id for refund in page.data], page.has_more, page.url) == (mine[:2], True, "/v1/refunds")
    assert [refund.id for refund in page.auto_paging_iter()] == mine
    assert client.v1.refunds.list({"payment_intent": "pi_nonesuch"}).data == []


@pytest.mark.parametrize(
    ("query", "param"),
    [
        ("limit=0", "limit"),
        ("limit=101", "limit"),
        ("limit=-1", "limit"),
        ("limit=ten", "limit"),
        ("limit=1.5", "limit"),
        ("limit[a]=1", "limit"),
        ("starting_after=pi_nonesuch", "starting_after"),
        ("ending_before=re_1", "ending_before"),
        ("created=yesterday", "created"),
        ("created[gte]=x", "created[gte]"),
        ("created[around]=1", "created[around]"),
        ("created[gte][x]=1", "created[gte]"),
        ("customer=cus_1", "customer"),
        ("starting_after=a&ending_before=b", None),
        ("limit=%FF", None),
        ("limit=%00", None),
        ("&".join(f"p{n}=1" for n in range(2_000)), None),
    ],
)
def test_malformed_queries_are_reported(sandbox: SandboxProcess, query: str, param: str | None) -> None:
    answer = sandbox.get(f"/v1/payment_intents?{query}")
    assert answer.status_code == 400, answer.text
    error = answer.json()["error"]
    assert (error["type"], error.get("param")) == ("invalid_request_error", param)
