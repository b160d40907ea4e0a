"""Rules that import-linter cannot express: a worker imports its own context only."""

from __future__ import annotations

import pytest

from tests.test_tree import ROOT, imported, is_test, named, python_files

# The others, such as topology, belong to no context.
CONTEXTS = sorted(
    path.parent.name for path in ROOT.glob("workers/*/__init__.py") if (ROOT / "services" / path.parent.name).exists()
)


def foreign(context: str) -> set[tuple[str, str]]:
    """The modules of workers/<context> that import another context's service, with what they import."""
    return {
        (named(path), name)
        for path in python_files(f"workers/{context}")
        if not is_test(path)
        for name in imported(path)
        if name.startswith("services.") and name.split(".")[1] != context
    }


@pytest.mark.parametrize("context", CONTEXTS)
def test_a_worker_imports_only_its_own_contexts_service(context: str) -> None:
    assert foreign(context) == set()


def test_imports_of_services_are_detected() -> None:
    path = ROOT / "workers" / "inventory" / "consumers.py"
    assert "services.inventory.usecases" in imported(path)
