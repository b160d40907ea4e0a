"""One clone for all tests of set-up, because creating an environment takes seconds. Each test writes its own lock."""

from __future__ import annotations

import pytest

from infrastructure.local.tests.setup_clone import Clone, Index


@pytest.fixture(scope="session")
def index(tmp_path_factory: pytest.TempPathFactory) -> Index:
    return Index(tmp_path_factory.mktemp("index"))


@pytest.fixture(scope="session")
def clone(tmp_path_factory: pytest.TempPathFactory, index: Index) -> Clone:
    return Clone(tmp_path_factory.mktemp("clone") / "with a space", index.url)
