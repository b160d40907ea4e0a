"""The five prepared failures in a browser: from the page Now to cause and button in at most three clicks.

Pressing Enter in a form counts as a click; typing a known id does not.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from infrastructure.local.stack import Stack
from tests.e2e import prepared
from tests.e2e.api import answer
from tests.e2e.browser import WAIT_MS, Visit, barriers, browser, visit
from tests.e2e.shop import Json, Shop
from tests.e2e.waiting import eventually

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]
MAX_CLICKS = 3
expect.set_options(timeout=WAIT_MS)


@dataclass
class Operator:
    """An operator at the page Now; counts the clicks."""

    page: Page
    clicks: int = 0

    def click(self, target: Locator) -> None:
        self.clicks += 1
        assert self.clicks <= MAX_CLICKS
        target.click()

    def enter(self, selector: str, text: str) -> None:
        self.clicks += 1
        assert self.clicks <= MAX_CLICKS
        self.page.fill(selector, text)
        self.page.press(selector, "Enter")

    def problem(self, text: str) -> Locator:
        """The link of a problem on the page Now."""
        return self.page.locator("#verdict .problems a", has_text=text).first

    def sees(self, text: str) -> None:
        expect(self.page.locator("main")).to_contain_text(text)


@pytest.fixture(scope="module")
def running() -> Iterator[Browser]:
    with browser() as started:
        yield started


@pytest.fixture
def visitor(running: Browser, shop: Shop) -> Iterator[Visit]:
    with visit(running, shop.url) as started:
        yield started


@pytest.fixture
def operator(visitor: Visit, stack: Stack) -> Operator:
    return Operator(visitor.signed_in(stack.credentials.operator_password))


def test_a_declined_card_is_found(operator: Operator, stack: Stack, shop: Shop) -> None:
    with prepared.declined_card(stack, shop) as order_id:
        operator.click(operator.page.get_by_role("link", name="Orders", exact=True))
        operator.enter("#q", order_id)
        operator.sees("declined the card: generic decline")
        expect(operator.page.get_by_role("button", name="Resend the last event")).to_be_visible()
        assert barriers(operator.page) == []


def discard_after_replay(shop: Shop, letter_id: str) -> None:
    """Discard the dead letter after its event has failed again: before that its replay is in flight."""
    url = f"/api/v1/dead-letters/{letter_id}"

    def has_failed_again(letter: Json) -> bool:
        arrivals = [each for each in letter["history"] if each["kind"] not in {"replay_requested", "replayed"}]
        return letter["status"] == "filed" and any(each.get("replay_id") for each in arrivals)

    eventually(lambda: answer(shop.operator.get(url)), has_failed_again)
    answer(shop.operator.post(f"{url}/discard", {"reason": "a test"}))


def test_a_poisoned_event_is_found_and_discarded(operator: Operator, stack: Stack, shop: Shop) -> None:
    with prepared.poisoned_event(stack, shop) as letter_id:
        operator.click(operator.problem("failed for good"))
        operator.click(operator.page.locator(f"a[href='/console/dead-letters/{letter_id}']"))
        operator.sees("The event itself is invalid")
        operator.sees("order_id")
        assert barriers(operator.page) == []
        operator.click(operator.page.get_by_role("button", name="Replay the edited event"))
        expect(operator.page.get_by_role("status")).to_contain_text("failed again")  # the event was not edited
        discard_after_replay(shop, letter_id)


def test_an_unavailable_provider_is_found(operator: Operator, stack: Stack, shop: Shop) -> None:
    with prepared.provider_away(stack, shop) as order_id:
        operator.sees("Payment provider: does not answer")
        operator.sees("No action is needed: orders wait and resume automatically when it answers.")
        operator.click(operator.page.get_by_role("link", name="Heal it"))
        operator.click(operator.page.get_by_role("button", name="Heal it now"))
        operator.sees("The fault is removed.")
        shop.ended(order_id, "confirmed")
    assert operator.clicks < MAX_CLICKS


def test_an_undecided_refund_is_found(operator: Operator, stack: Stack, shop: Shop) -> None:
    with prepared.undecided_refund(stack, shop) as order_id:
        operator.click(operator.problem("undecided"))
        case = operator.page.locator("article", has_text=order_id)
        expect(case).to_contain_text("Refund of 19.99 USD")
        assert barriers(operator.page) == []
        prepared.repair_provider(stack)
        operator.click(case.get_by_role("button", name="Re-check at the provider"))
        expect(operator.page.get_by_role("status")).to_contain_text("Compared with the payment provider")
        expect(operator.page.locator("#acts")).to_contain_text(f"order …{order_id[-8:]} by operator")
        shop.payment(order_id, "refunded")


def test_an_undecided_refund_is_shown_on_its_orders_page(operator: Operator, stack: Stack, shop: Shop) -> None:
    with prepared.undecided_refund(stack, shop) as order_id:
        operator.click(operator.page.get_by_role("link", name="Orders", exact=True))
        operator.enter("#q", order_id)
        operator.sees("a refund of 19.99 USD was requested and the payment provider has not decided it")
        operator.click(operator.page.get_by_role("button", name="Re-check at the provider"))
        operator.sees("Still undecided: the payment provider answered")
        assert barriers(operator.page) == []
        prepared.repair_provider(stack)
        shop.payment(order_id, "refunded")
        expect(operator.page.locator("h1")).to_contain_text("Cancelled and refunded")


def test_a_dead_webhook_is_found(operator: Operator, stack: Stack, shop: Shop) -> None:
    with prepared.dead_webhook(stack, shop) as (endpoint_id, receiver):
        operator.click(operator.problem(receiver.url))
        operator.sees("It answered 410")
        assert barriers(operator.page) == []
        receiver.replies.clear()
        operator.click(operator.page.get_by_role("button", name="Enable"))
        expect(operator.page.get_by_role("status")).to_contain_text("The endpoint is enabled")
        operator.click(operator.page.get_by_role("button", name="Resend all failed"))
        expect(operator.page.locator("#deliveries .chip.delivered").first).to_be_visible()
        assert endpoint_id in operator.page.url
