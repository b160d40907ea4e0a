"""Every step of docs/tutorial.md, executed in a copy of this checkout."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, NamedTuple

import pytest

from holdfast.new_service.tests.checkout import ROOT, Checkout, copied
from infrastructure.local.ports import free_port_base
from infrastructure.local.stack import Stack
from tests.e2e.api import answer
from tests.e2e.shop import Shop, place
from tests.e2e.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PAGE = (ROOT / "docs" / "tutorial.md").read_text(encoding="utf-8")
_BLOCK = re.compile(r"^```(?P<language>sh|python)(?: (?P<file>\S+))?\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)
RUN_IT = "## 8. Run it"


class Block(NamedTuple):
    """A code block of the page: a whole file, or shell commands."""

    file: str
    text: str

    def follow(self, checkout: Checkout) -> None:
        if self.file:
            (checkout.root / self.file).write_text(self.text, encoding="utf-8")
        else:
            for line in self.text.splitlines():
                checkout.succeed("bash", "-c", line)


def blocks(page: str) -> list[Block]:
    return [Block(found["file"] or "", found["text"]) for found in _BLOCK.finditer(page)]


def test_each_block_is_a_file_or_commands() -> None:
    found = blocks(PAGE)
    assert len(found) > 12
    assert found[0].text.startswith("holdfast new service loyalty ")
    assert all(block.file.startswith(("services/loyalty/", "workers/loyalty/")) for block in found if block.file)


@pytest.fixture(scope="module")
def followed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Checkout]:
    """The checkout after all steps but the last; every command has succeeded."""
    checkout = copied(tmp_path_factory.mktemp("tutorial"))
    try:
        for block in blocks(PAGE.partition(RUN_IT)[0]):
            block.follow(checkout)
        yield checkout
    finally:
        checkout.run("holdfast", "down", "--delete-data", "--home", ".holdfast-test")


@pytest.mark.integration
@pytest.mark.timeout(1200)
def test_the_tutorials_service_passes_its_tests(followed: Checkout) -> None:
    changed = followed.succeed("git", "status", "--porcelain", "-uall")
    assert "services/loyalty/domain.py" in changed
    assert "inventory" not in changed, "nothing of another service was changed"


@pytest.mark.generated
@pytest.mark.timeout(1800)
def test_the_system_runs_with_the_tutorials_service_and_awards_points(followed: Checkout, tmp_path: Path) -> None:
    home = tmp_path / "home"
    place_of_it = ("--home", str(home))
    try:
        followed.succeed("holdfast", "up", *place_of_it, "--port-base", str(free_port_base(home)))
        shop = Shop(Stack(home))
        customer = shop.customer()
        assert answer(customer.api.get("/api/v1/points")) == {"points": 0, "orders": 0}
        order = place(customer, {shop.product(price=1234): 1})
        shop.ended(order["id"], "confirmed")
        eventually(
            lambda: answer(customer.api.get("/api/v1/points")), lambda found: found == {"points": 12, "orders": 1}
        )
        processes = json.loads(followed.succeed("holdfast", "status", "--json", *place_of_it))["processes"]
        running = {each["name"] for each in processes if each["state"] == "running"}
        assert {"service-loyalty", "worker-loyalty"} <= running
    finally:
        followed.run("holdfast", "down", "--delete-data", *place_of_it)
