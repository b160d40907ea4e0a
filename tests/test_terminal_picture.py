"""The terminal picture: complete, small, self-contained and without secrets."""

from __future__ import annotations

import re
from xml.etree import ElementTree as ET

from docs.terminal_picture import picture
from tests.test_tree import ROOT

PICTURE = ROOT / "docs" / "images" / "demo.svg"
MAX_BYTES = 200_000
PRINTED = "\x1b[1mDone\x1b[0m <in> 7 s\n   sign in as   operator  0123456789abcdef\n"


def _addresses(svg: str) -> set[str]:
    return set(re.findall(r"https?://[^\s\"'<]+", re.sub(r"<!--.*?-->", "", svg, flags=re.DOTALL)))


def _text(svg: str) -> str:
    return "".join(ET.fromstring(svg).itertext()).replace("\N{NO-BREAK SPACE}", " ")


def test_the_picture_shows_the_text_and_masks_the_password() -> None:
    made = picture(PRINTED, "a title")
    assert "<in> 7 s" in _text(made)
    assert "a title" in _text(made)
    assert "0123456789abcdef" not in made
    assert _addresses(made) == {"http://www.w3.org/2000/svg"}


def test_the_readmes_picture_shows_a_complete_run() -> None:
    svg = PICTURE.read_text(encoding="utf-8")
    assert len(svg.encode()) <= MAX_BYTES
    assert _text(svg).count("kept") == 7
    assert "Done" in _text(svg)
    shown = {address for address in _addresses(svg) if not address.startswith("http://127.0.0.1")}
    assert shown == {"http://www.w3.org/2000/svg"}
    assert "images/demo.svg" in (ROOT / "README.md").read_text(encoding="utf-8")
