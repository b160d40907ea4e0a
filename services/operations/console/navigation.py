"""The console's pages in the order of the menu.

A new page is one more line: its endpoint, its label, and the endpoints that are shown as a part of it.
"""

from __future__ import annotations

NAVIGATION: tuple[tuple[str, str, tuple[str, ...]], ...] = (("console.show_now", "Now", ()),)
