"""Inject faults from the console, watch orders wait, remove the faults, and check every promise."""

from collections.abc import Iterator

import pytest
import requests
from playwright.sync_api import Browser, Locator, Page, expect

from infrastructure.local.stack import Stack
from tests.e2e.browser import PHONE, WAIT_MS, Visit, barriers, browser, visit
from tests.e2e.shop import Shop
from tests.e2e.waiting import eventually

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]
BREAK, PROMISES, TRY = "/console/break", "/console/promises", "/console/try"
SECONDS = 300  # longer than each test: a fault that ends earlier was removed
expect.set_options(timeout=WAIT_MS)


@pytest.fixture(scope="module")
def running() -> Iterator[Browser]:
    with browser() as started:
        yield started


@pytest.fixture
def visitor(running: Browser, shop: Shop) -> Iterator[Visit]:
    with visit(running, shop.url) as started:
        yield started


@pytest.fixture
def password(stack: Stack) -> str:
    return stack.credentials.operator_password


@pytest.fixture(autouse=True)
def healed(stack: Stack, shop: Shop) -> Iterator[None]:
    """Undoes the faults that a test leaves."""
    yield
    eventually(lambda: _control(stack, shop, "POST", "/undo")["active"] is None)


def _control(stack: Stack, shop: Shop, method: str, path: str = "") -> dict[str, object]:
    url = f"http://127.0.0.1:{stack.home.port('control')}/api/v1/control{path}"
    try:
        reply = requests.request(method, url, headers={"Authorization": f"Bearer {shop.operator_token}"}, timeout=60)
    except (requests.ConnectionError, requests.Timeout):  # it was killed and is restarted
        return {"active": "not known"}
    if reply.status_code == 503:  # it has not fetched the keys of tokens yet
        return {"active": "not known"}
    reply.raise_for_status()
    found: dict[str, object] = reply.json()
    return found


def inject(page: Page, title: str, *, target: str = "", seconds: int | None = SECONDS) -> None:
    form = page.get_by_role("form", name=title, exact=True)
    if target:
        form.get_by_label("Worker").select_option(target)
    if seconds is not None:
        form.get_by_label("For").select_option(str(seconds))
    form.get_by_role("button").click()
    expect(page.get_by_role("status")).to_have_text("The fault was injected.")


def place_by_hand(page: Page, url: str, sku: str) -> str:
    """Place an order on the page Try it; the address of its page."""
    page.goto(f"{url}{TRY}")
    page.select_option("#sku", sku)
    page.click("text=Place the order")
    address = page.locator("section .card a").first.get_attribute("href")
    assert address
    return f"{url}{address}"


def audit_by_hand(page: Page, url: str) -> None:
    """Run an audit on the page Promises, and wait until it is in the history."""
    page.goto(f"{url}{PROMISES}")
    before = audits(page).count()
    page.click("text=Run an audit")
    expect(page.locator(".strip.ok[role=status]")).to_have_text("The audit was started.")
    expect(audits(page)).to_have_count(before + 1)


def audits(page: Page) -> Locator:
    return page.locator("#verdict a time")


def test_orders_wait_for_a_failing_provider_and_are_confirmed_after_the_fault(
    visitor: Visit, shop: Shop, password: str
) -> None:
    sku = shop.product()
    page = visitor.signed_in(password, BREAK)
    inject(page, "The payment provider fails")
    other = visitor.page(TRY)
    orders = [place_by_hand(other, shop.url, sku) for _ in range(3)]
    expect(page.locator("#now .problems")).to_contain_text("worker-payments")  # without user interaction
    for order in orders:
        other.goto(order)
        expect(other.locator(".story")).to_contain_text("stock.reserved.v1")
        expect(other.locator("h1")).not_to_have_text("Confirmed.")
    page.click("text=Heal it now")
    expect(page.locator("#fault")).to_contain_text("No fault is active.")
    for order in orders:
        other.goto(order)
        expect(other.locator("h1")).to_have_text("Confirmed.")
    expect(page.locator("#now")).not_to_contain_text("payment provider", ignore_case=True)
    audit_by_hand(page, shop.url)
    expect(page.locator("h1")).to_have_text("Every promise is kept: 7 of 7.")
    expect(page.locator("#verdict table").first.locator(".chip.ok")).to_have_count(7)
    assert visitor.complaints == []


def test_two_tabs_inject_one_fault_at_a_time(visitor: Visit, password: str) -> None:
    first = visitor.signed_in(password, BREAK)
    second = visitor.page(BREAK)
    inject(first, "A worker is stopped", target="worker-archive")
    second.get_by_role("form", name="The payment provider fails").get_by_role("button").click()
    expect(second.locator("#message")).to_contain_text("Another fault is active")
    second.goto(first.url)
    second.click("text=Heal it now")
    expect(first.locator("#fault")).to_contain_text("No fault is active.")
    expect(first.locator("#acts tbody tr").first).to_contain_text("undone")


def test_a_paused_broker_is_shown_and_resumed_after_the_control_process_died(
    visitor: Visit, stack: Stack, shop: Shop, password: str
) -> None:
    sku = shop.product()
    page = visitor.signed_in(password, BREAK)
    inject(page, "RabbitMQ is paused", seconds=60)  # longer than a busy machine needs to show it
    stack.kill("control")
    expect(page.locator("#now .problems")).to_contain_text("RabbitMQ: does not answer")
    other = visitor.page(TRY)
    order = place_by_hand(other, shop.url, sku)
    expect(page.locator("#fault")).to_contain_text("No fault is active.")
    other.goto(order)
    expect(other.locator("h1")).to_have_text("Confirmed.")
    expect(page.locator("#acts tbody tr").first).to_contain_text("by itself")


def test_a_killed_worker_is_restarted(visitor: Visit, stack: Stack, shop: Shop, password: str) -> None:
    before = stack.pid("worker-orders")
    page = visitor.signed_in(password, BREAK)
    inject(page, "A worker is killed", target="worker-orders", seconds=None)
    eventually(lambda: stack.pid("worker-orders"), lambda pid: pid not in {None, before})
    other = visitor.page(TRY)
    other.goto(place_by_hand(other, shop.url, shop.product()))
    expect(other.locator("h1")).to_have_text("Confirmed.")


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_pages_are_accessible_during_a_fault(running: Browser, shop: Shop, password: str, theme: str) -> None:
    with visit(running, shop.url, color_scheme=theme, viewport=PHONE) as started:
        page = started.signed_in(password, BREAK)
        inject(page, "A worker is stopped", target="worker-archive")
        assert barriers(page) == []
        assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
        page.click("text=Heal it now")
        expect(page.locator("#fault")).to_contain_text("No fault is active.")
        page.goto(f"{shop.url}{PROMISES}")
        page.click("text=Run an audit")
        expect(page.get_by_role("status").first).to_be_visible()
        assert barriers(page) == []
        expect(page.locator("text=Run an audit")).to_be_visible()  # the fault has ended
        assert barriers(page) == []
        assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
        assert started.complaints == []
