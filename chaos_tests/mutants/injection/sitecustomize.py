# ruff: noqa: INP001 - a directory for PYTHONPATH, not a package
"""Applies a mutant's patches to modules as they are imported. Python imports a module of this name at its start.

The product does not refer to it: it takes effect only where this directory is on PYTHONPATH, HOLDFAST_TEST_BUILD is 1
and HOLDFAST_MUTANT names a JSON file of patches: [{"module": ..., "old": ..., "new": ...}]. A patch whose old text
does not occur exactly once ends the process, because a mutant without a change cannot be detected.
"""

from __future__ import annotations

import json
import os
import sys
from collections import defaultdict
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import CodeType


class _Loader(SourceFileLoader):
    def __init__(self, name: str, path: str, patches: Sequence[dict[str, str]]) -> None:
        super().__init__(name, path)
        self._patches = patches

    def get_code(self, fullname: str) -> CodeType | None:
        source = Path(self.path).read_text(encoding="utf-8")
        for patch in self._patches:
            if source.count(patch["old"]) != 1:
                sys.exit(f"the mutant does not fit {fullname}: {patch['old']!r}")
            source = source.replace(patch["old"], patch["new"])
        return compile(source, self.path, "exec", dont_inherit=True)


class _Finder(MetaPathFinder):
    def __init__(self, patches: dict[str, list[dict[str, str]]]) -> None:
        self._patches = patches

    def find_spec(self, fullname: str, path: Any, target: Any = None) -> ModuleSpec | None:
        if fullname not in self._patches:
            return None
        spec = PathFinder.find_spec(fullname, path, target)
        if spec is None or spec.origin is None:
            return None
        spec.loader = _Loader(fullname, spec.origin, self._patches[fullname])
        return spec


def _install(file: str) -> None:
    patches: dict[str, list[dict[str, str]]] = defaultdict(list)
    for patch in json.loads(Path(file).read_text(encoding="utf-8")):
        patches[patch["module"]].append(patch)
    sys.meta_path.insert(0, _Finder(patches))


if os.environ.get("HOLDFAST_TEST_BUILD") == "1" and os.environ.get("HOLDFAST_MUTANT"):
    _install(os.environ["HOLDFAST_MUTANT"])
