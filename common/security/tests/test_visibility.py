from __future__ import annotations

import pytest

from common.errors import NotFound
from common.security.tokens import Caller
from common.security.visibility import require_visible


@pytest.mark.parametrize("viewer_id", ["owner", None])
def test_the_owner_and_operators_see_it(viewer_id: str | None) -> None:
    assert require_visible("a thing", "owner", viewer_id, what="thing") == "a thing"


@pytest.mark.parametrize("item", [None, "a thing"])
def test_for_others_it_is_not_there(item: str | None) -> None:
    with pytest.raises(NotFound, match="no such thing"):
        require_visible(item, "owner", "another", what="thing")


def test_nothing_is_visible_to_nobody() -> None:
    with pytest.raises(NotFound):
        require_visible(None, None, None, what="thing")


def test_an_operator_looks_without_an_id() -> None:
    assert Caller("c", "customer").viewer_id == "c"
    assert Caller("o", "operator").viewer_id is None
