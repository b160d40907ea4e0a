"""`python -m tests.e2e.pictures`: take the documentation's pictures of the console, on a running local stack.

Each is taken while one of the prepared failures lasts (`tests.e2e.prepared`), or while there is none. Run
`holdfast demo` before, for orders to see. Writes docs/images/console-*.png.
"""

from pathlib import Path

import click
from playwright.sync_api import Page, ViewportSize, expect

from infrastructure.local.stack import Stack
from tests.e2e import prepared
from tests.e2e.auditing import assert_kept
from tests.e2e.browser import WAIT_MS, browser, visit
from tests.e2e.shop import Shop

IMAGES = Path(__file__).parents[2] / "docs" / "images"
SIZE: ViewportSize = {"width": 1280, "height": 770}  # above a dead letter's traceback, which contains paths


class Camera:
    """A signed-in operator's tab, whose pictures go to docs/images."""

    def __init__(self, page: Page, url: str) -> None:
        self._page, self._url = page, url

    def take(self, name: str, path: str, text: str, *, whole: bool = False) -> None:
        """Open `path`, wait until it shows `text`, and save the picture."""
        self._page.goto(f"{self._url}{path}")
        expect(self._page.locator("main")).to_contain_text(text)
        self._page.wait_for_load_state("networkidle")
        self._page.screenshot(path=IMAGES / f"console-{name}.png", full_page=whole)
        click.echo(f"docs/images/console-{name}.png")


def take_all(stack: Stack, shop: Shop, camera: Camera) -> None:
    camera.take("now", "/", "Everything works.")
    assert_kept(stack)
    camera.take("promises", "/console/promises", "7 of 7", whole=True)
    with prepared.provider_away(stack, shop):
        camera.take("outage", "/", "Nothing to do")
        camera.take("break", "/console/break", "Heal it now", whole=True)
    with prepared.poisoned_event(stack, shop) as letter_id:
        camera.take("dead-letters", "/console/dead-letters", "InvalidEventError")
        camera.take("dead-letter", f"/console/dead-letters/{letter_id}", "Discard")
    with prepared.undecided_refund(stack, shop) as order_id:
        camera.take("order", f"/console/orders/{order_id}", "Re-check at the provider")
    with prepared.dead_webhook(stack, shop) as (endpoint_id, _):
        camera.take("webhook", f"/console/webhooks/{endpoint_id}", "410")


@click.command()
@click.option("--home", default=".holdfast", show_default=True, help="The stack's directory.")
def main(home: str) -> None:
    """Take the documentation's pictures of the console."""
    expect.set_options(timeout=WAIT_MS)
    stack = Stack(home)
    shop = Shop(stack)
    with browser() as running, visit(running, shop.url, viewport=SIZE) as visitor:
        page = visitor.signed_in(stack.credentials.operator_password)
        take_all(stack, shop, Camera(page, shop.url))


if __name__ == "__main__":
    main()
