"""docs/performance.md: its rows, its text for missing figures, and the open loop that measures."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

import pytest

from benchmarks import open_loop, page
from benchmarks.figures import Figures, number
from benchmarks.load_curve import COLUMNS
from benchmarks.profile import shares
from benchmarks.rows import ROWS
from holdfast.bench.load import post_request
from tests.test_tree import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ORIGIN = page.Origin("a machine", "a commit", "python -m benchmarks", "today", 16)


def test_the_committed_page_has_every_row() -> None:
    text = (ROOT / "docs" / "performance.md").read_text(encoding="utf-8")
    assert [row.key for row in ROWS if f"| {row.what} | {row.goal} |" not in text] == []


def test_a_row_without_figures_is_marked() -> None:
    text = page.render(ROWS, Figures(), ORIGIN)
    assert text.count(page.NOT_MEASURED) + text.count(page.ELSEWHERE) == len(ROWS)


@pytest.mark.parametrize(("p99", "met"), [(99.0, "yes"), (101.0, "**no**")])
def test_a_row_says_whether_it_meets_its_goal(p99: float, met: str) -> None:
    figures = Figures()
    figures.add("idle: p50 ms", 40.0)
    figures.add("idle: p99 ms", p99)
    assert f"p99 **{number(p99)}** ms | {met} |" in page.render(ROWS, figures, ORIGIN)


def test_ratios_are_computed_per_round() -> None:
    figures = Figures()
    for ours, theirs in ((10, 20), (30, 40), (5, 50)):
        figures.add("ours", ours)
        figures.add("theirs", theirs)
    assert figures.ratio("ours", "theirs").text() == "**0.50** (0.10 to 0.75)"


def test_the_load_curve_has_a_picture(tmp_path: Path) -> None:
    figures = Figures()
    for column in COLUMNS:
        for value in (1.0, 20.0, 300.0):
            figures.add(f"curve: {column}", value)
    page.write(tmp_path / "page.md", ROWS, figures, ORIGIN)
    drawn = ET.parse(tmp_path / "page.svg").getroot()
    assert len(drawn.findall(".//{http://www.w3.org/2000/svg}polyline")) == 4


def test_a_sample_counts_for_the_innermost_library() -> None:
    site, own = "/venv/lib/python3.11/site-packages", "/holdfast-clone/common"
    assert shares(
        [
            f"run ({own}/messaging/consumer.py:10);dumps (/usr/lib/python3.11/json/__init__.py:2) 1",
            f"run ({own}/messaging/consumer.py:10);execute ({site}/sqlalchemy/engine/base.py:3) 2",
            f"execute ({site}/sqlalchemy/engine/base.py:3);_wait ({own}/storage/postgresql.py:150) 4",
            f"call ({site}/stripe/_client.py:1);send ({site}/requests/sessions.py:5) 1",
            f"send ({site}/certifi/core.py:5) 1",
            "run (/usr/lib/python3.11/threading.py:5) 1",
        ]
    ) == {
        "psycopg2": 0.4,
        "SQLAlchemy": 0.2,
        "Holdfast": 0.1,
        "stripe, requests, urllib3": 0.1,
        "certifi": 0.1,
        "standard library": 0.1,
    }


@pytest.fixture
def refusing_every_third() -> Iterator[str]:
    """A server that accepts one connection at a time, and closes it after each response."""
    requests = iter(range(1_000))

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.send_response(503 if next(requests) % 3 == 2 else 202)
            self.send_header("Content-Length", "0")
            self.send_header("Connection", "close")
            self.end_headers()

        def log_message(self, *_arguments: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def test_the_open_loop_sends_due_requests_and_counts_refused_ones(refusing_every_third: str) -> None:
    url = f"{refusing_every_third}/api/v1/orders"
    result = open_loop.run(url, lambda: post_request(url, b"{}", {}), rate=300, seconds=0.1)
    assert result.statuses == {202: 20, 503: 10}
    assert len(result.latencies_seconds) == 30
