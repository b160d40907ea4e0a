"""The README's first order in a shell. Only the port, the product and the command's path differ."""

import json
import os
import re
import shutil
import subprocess
import sys
import uuid
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg2
import pytest

from infrastructure.local.stack import Stack
from tests.e2e.shop import CONFIRMED, Shop

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.timeout(600),
    pytest.mark.skipif(shutil.which("curl") is None, reason="the README's order is placed with curl"),
]
ROOT = Path(__file__).parents[2]
SECTION = "## A first order, by hand"
MARK = "--- the end of a line ---"
LINE_SECONDS = 120


class Terminal:
    """A shell that executes pasted lines one at a time; each must succeed."""

    def __init__(self, directory: Path, environment: dict[str, str]) -> None:
        self._shell = subprocess.Popen(
            ["bash", "--noprofile", "--norc"],
            cwd=directory, env=environment, text=True, bufsize=1,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip

    def paste(self, line: str) -> str:
        """Execute a line; returns its output."""
        assert self._shell.stdin
        assert self._shell.stdout
        self._shell.stdin.write(f"{line}\necho; echo '{MARK}' $?\n")
        printed: list[str] = []
        for text in self._shell.stdout:
            if text.startswith(MARK):
                assert text.split()[-1] == "0", f"{line}\n{''.join(printed)}"
                return "".join(printed).strip()
            printed.append(text)
        raise AssertionError(f"the shell ended at {line}")

    def close(self) -> None:
        assert self._shell.stdin
        assert self._shell.stdout
        self._shell.stdin.close()
        self._shell.stdout.close()
        self._shell.wait(LINE_SECONDS)


def commands() -> list[str]:
    """The commands of the README's block, without comments; continued lines are joined."""
    text = (ROOT / "README.md").read_text(encoding="utf-8").partition(SECTION)[2]
    found = re.search(r"```sh\n(.*?)```", text, re.DOTALL)
    assert found, f"the README has no block below {SECTION!r}"
    whole, part = [], ""
    for line in found[1].splitlines():
        part += line
        if part.endswith("\\"):
            part += "\n"
            continue
        if part.strip() and not part.startswith("#"):
            whole.append(part)
        part = ""
    return whole


@pytest.fixture
def johndoe_is_free(stack: Stack) -> None:
    """Rename an existing user with the README's name and address."""
    rename = "UPDATE users SET username = %s, email = %s WHERE username = 'johndoe' OR email = 'john.doe@example.com'"
    former = f"former-{uuid.uuid4().hex[:12]}"
    with closing(psycopg2.connect(stack.urls.database("users").replace("+psycopg2", ""))) as connection:
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute(rename, (former, f"{former}@example.com"))


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """A directory in which `.venv/bin/holdfast` is this tree's command."""
    command = tmp_path / ".venv" / "bin" / "holdfast"
    command.parent.mkdir(parents=True)
    run = f'cd "{ROOT}" && exec "{sys.executable}" -c "from holdfast.cli import main; main()" "$@"'
    command.write_text(f"#!/bin/sh\n{run}\n")
    command.chmod(0o755)
    return tmp_path


@pytest.mark.usefixtures("johndoe_is_free")
def test_the_first_user_registers_with_the_documented_request(shop: Shop) -> None:
    body = {"username": "johndoe", "email": "john.doe@example.com"}
    reply = shop.anyone.post("/api/v1/users", body)
    assert reply.status_code == 201
    user = reply.json()
    assert {name: user[name] for name in body} == body
    assert user["id"]
    assert user["created_at"]
    assert user["api_key"]


@pytest.mark.usefixtures("johndoe_is_free")
def test_the_readmes_first_order_is_confirmed(stack: Stack, shop: Shop, directory: Path) -> None:
    sku = f"TEA-{uuid.uuid4().hex[:12]}"
    environment = {"PATH": os.environ["PATH"], "HOLDFAST_HOME": str(stack.home.path), "LANG": "C.UTF-8"}
    terminal = Terminal(directory, environment)
    printed: dict[str, str] = {}
    for line in commands():
        ours = line.replace("http://127.0.0.1:8000", shop.url).replace("TEA-1", sku)
        printed[line] = terminal.paste(ours)
        if "/products" in line:
            shop.wait_until_orderable(sku)  # a person who pastes line by line is slower
        if line.startswith("order="):
            order_id = terminal.paste("echo $order")
            shop.await_events(order_id, *CONFIRMED)
    terminal.close()

    def shown(part: str) -> Any:
        return json.loads(next(text for line, text in printed.items() if part in line))

    product, order, timeline = shown("$api/products"), shown("$api/orders/$order "), shown("/timeline")
    assert (product["sku"], product["available"]) == (sku, 10)
    assert (order["id"], order["status"]) == (order_id, "confirmed")
    assert timeline["data"][-1]["type"] == "stock.sold.v1"
    verdict = next(text for line, text in printed.items() if line.endswith("audit"))
    assert verdict.count("kept") >= 5
    assert "broken" not in verdict
