"""A picture of what a command printed: `python -m docs.terminal_picture TITLE < colored.txt > picture.svg`.

The picture of the demonstration in the README is made from a real run, on a stack that is up:

    TTY_COMPATIBLE=1 TTY_INTERACTIVE=0 COLUMNS=112 holdfast demo > demo.txt
    python -m docs.terminal_picture 'holdfast demo' < demo.txt > docs/images/demo.svg

Guarantee: the picture loads nothing from elsewhere. An operator's password is covered.
"""

from __future__ import annotations

import io
import re
import sys

from rich.console import Console
from rich.terminal_theme import MONOKAI
from rich.text import Text

COLUMNS = 112
_FONTS = re.compile(r"\s*@font-face \{.*?\}", re.DOTALL)
_FONT = "ui-monospace, 'DejaVu Sans Mono', Menlo, Consolas, monospace"  # every system has one of them
_PASSWORD = re.compile(r"(?<=operator  )\S+")


def picture(printed: str, title: str) -> str:
    """The SVG of a terminal with this text, whose colors are ANSI sequences."""
    console = Console(record=True, width=COLUMNS, file=io.StringIO(), legacy_windows=False)
    text = Text.from_ansi(_PASSWORD.sub("\N{BULLET}" * 12, printed).rstrip())
    console.print(text, soft_wrap=True)
    svg = console.export_svg(title=title, theme=MONOKAI, unique_id="terminal")
    return _FONTS.sub("", svg).replace("Fira Code, monospace", _FONT)


if __name__ == "__main__":
    sys.stdout.write(picture(sys.stdin.read(), *sys.argv[1:]) + "\n")
