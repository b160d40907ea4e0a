from __future__ import annotations

import pytest

from common.storage.statements import statement


def test_fragments_may_name_fragments_and_values_are_bound() -> None:
    made = statement("SELECT {columns} FROM t WHERE {open} AND id = :id", columns="id, {age}", age="age", open="n < 3")
    assert str(made) == "SELECT id, age FROM t WHERE n < 3 AND id = :id"
    assert list(made.compile().params) == ["id"]


def test_a_fragment_that_is_not_given_is_an_error() -> None:
    with pytest.raises(KeyError, match="columns"):
        statement("SELECT {columns} FROM t")


def test_braces_of_values_stay() -> None:
    assert str(statement("SELECT '{}'::jsonb")) == "SELECT '{}'::jsonb"
