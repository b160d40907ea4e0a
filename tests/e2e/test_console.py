"""The console in a real browser on the whole system: each page and theme, an outage, and one order."""

import re
from collections.abc import Iterator

import pytest
import requests
from playwright.sync_api import Browser, expect

from infrastructure.local.stack import Stack
from tests.e2e.browser import PHONE, WAIT_MS, Visit, barriers, browser, visit
from tests.e2e.shop import Customer, Shop, place

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]
PAGES = (
    "/",
    "/console/orders",
    "/console/dead-letters",
    "/console/cases",
    "/console/webhooks",
    "/console/promises",
    "/console/try",
    "/console/break",
    "/console/nothing",
)
XSS = "<img src=x onerror=\"document.title='run'\">"
expect.set_options(timeout=WAIT_MS)


@pytest.fixture(scope="module")
def running() -> Iterator[Browser]:
    with browser() as started:
        yield started


@pytest.fixture
def visitor(running: Browser, shop: Shop) -> Iterator[Visit]:
    with visit(running, shop.url) as started:
        yield started


@pytest.fixture(scope="module")
def password(stack: Stack) -> str:
    return stack.credentials.operator_password


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_every_page_is_accessible_and_follows_its_content_security_policy(
    running: Browser, shop: Shop, customer: Customer, password: str, theme: str
) -> None:
    order_id = place(customer, {shop.product(): 1})["id"]
    with visit(running, shop.url, color_scheme=theme) as started:
        page = started.page("/console/sign-in")
        assert barriers(page) == []
        page.close()
        page = started.signed_in(password)
        for path in (*PAGES, f"/console/orders/{order_id}"):
            page.goto(f"{shop.url}{path}")
            assert barriers(page) == [], path
        assert [text for text in started.complaints if "404" not in text] == []


def test_every_page_fits_the_width_of_a_phone(running: Browser, shop: Shop, password: str) -> None:
    with visit(running, shop.url, viewport=PHONE) as started:
        page = started.signed_in(password)
        for path in PAGES:
            page.goto(f"{shop.url}{path}")
            assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"], path


def test_an_order_sent_twice_is_one_and_its_page_refreshes_until_it_is_confirmed(
    visitor: Visit, shop: Shop, password: str
) -> None:
    sku = shop.product()
    page = visitor.signed_in(password, "/console/try")
    page.select_option("#sku", sku)
    page.click("text=Send it twice")
    expect(page.locator(".strip.ok")).to_have_text("Two requests, one order.")
    page.locator("section .card a").first.click()
    expect(page.locator("h1")).to_have_text("Confirmed.")  # without user interaction: the page refreshes itself
    expect(page.locator(".story")).to_contain_text("order.confirmed.v1")
    page.once("dialog", lambda dialog: dialog.accept())
    page.click("summary:has-text('Refund')")
    page.fill("#reason", "a test")
    page.click("button.danger:has-text('Refund')")
    expect(page.get_by_role("status")).to_have_text("The refund is made.")
    expect(page.locator("#actions .chip.refunded")).to_be_visible()


def test_an_outage_of_the_payment_provider_is_shown_until_it_ends(
    visitor: Visit, stack: Stack, shop: Shop, customer: Customer, password: str
) -> None:
    faults = f"{stack.urls.http('sandbox')}/faults"
    page = visitor.signed_in(password)
    requests.put(faults, json=[{"kind": "error"}], timeout=60).raise_for_status()
    try:
        orders = [place(customer, {shop.product(): 1})["id"] for _ in range(3)]
        expect(page.locator("#verdict .problems")).to_contain_text("worker-payments")
    finally:
        requests.delete(faults, timeout=60).raise_for_status()
    page.goto(f"{shop.url}/console/orders/{orders[-1]}")
    expect(page.locator("h1")).to_have_text("Confirmed.")


def test_an_ended_session_rejects_forms_in_every_tab(visitor: Visit, password: str) -> None:
    first, second = visitor.signed_in(password), visitor.page("/console/try")
    first.click("text=Sign out")
    expect(first.get_by_role("status")).to_have_text("You are signed out.")
    second.click("text=Place the order")
    expect(second.get_by_role("status")).to_contain_text("was not executed")


def test_external_names_are_escaped(visitor: Visit, shop: Shop, password: str) -> None:
    sku = shop.product()
    assert shop.operator.patch(f"/api/v1/products/{sku}", {"name": XSS}).ok
    page = visitor.signed_in(password, "/console/try")
    expect(page.locator(f"option[value='{sku}']")).to_contain_text(XSS)
    expect(page).not_to_have_title(re.compile("run"))
    assert page.locator("img[src=x]").count() == 0


def test_the_chosen_theme_is_stored(visitor: Visit, password: str) -> None:
    page = visitor.signed_in(password)
    page.click("#theme")
    assert page.evaluate("document.documentElement.dataset.theme") == "dark"
    page.reload()
    assert page.evaluate("document.documentElement.dataset.theme") == "dark"
