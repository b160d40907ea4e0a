"""A real browser on the console: pages that record browser errors, and an accessibility check by axe-core."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, ViewportSize, sync_playwright

from infrastructure.local.fetch import ensure_browser

WAIT_MS = 120_000  # generous: time-outs are not tested
PHONE: ViewportSize = {"width": 390, "height": 844}
SERIOUS = {"serious", "critical"}


@dataclass
class Visit:
    """A browser's session with the console."""

    context: BrowserContext
    url: str
    complaints: list[str] = field(default_factory=list)

    def page(self, path: str = "/") -> Page:
        """A tab; errors that the browser reports, such as policy violations, are recorded."""
        page = self.context.new_page()
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("console", self._keep_error)
        page.goto(f"{self.url}{path}")
        return page

    def _keep_error(self, message: ConsoleMessage) -> None:
        if message.type == "error":
            self.complaints.append(message.text)

    def signed_in(self, password: str, path: str = "/") -> Page:
        page = self.page(path)
        page.fill("#name", "operator")
        page.fill("#password", password)
        page.click("button.primary")
        page.wait_for_selector("nav[aria-label=Pages]")
        return page


@contextmanager
def browser() -> Iterator[Browser]:
    program = ensure_browser(print)
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(
            executable_path=program.executable,
            args=["--no-sandbox"],  # the tests may run as root, and the browser loads only our own pages
            env={"HOME": "/tmp", **program.environment},
        )
        yield running
        running.close()


@contextmanager
def visit(running: Browser, url: str, **options: Any) -> Iterator[Visit]:
    context = running.new_context(**options)
    context.set_default_timeout(WAIT_MS)
    try:
        yield Visit(context, url)
    finally:
        context.close()


def barriers(page: Page) -> list[str]:
    """The accessibility violations that axe-core finds."""
    found = Axe().run(page).response["violations"]
    return [f"{each['id']}: {each['nodes'][0]['html'][:200]}" for each in found if each["impact"] in SERIOUS]
