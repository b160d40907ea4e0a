"""A verdict requires a completed search; a missing program is reported, and nothing passes."""

from pathlib import Path

import pytest
from click.testing import CliRunner

from chaos_tests.model import checking, programs, run
from chaos_tests.model.checking import Kind, UnfinishedError, check
from chaos_tests.model.programs import MissingToolError, Programs, ensure_programs

MODEL = "byte n; active proctype P() { do :: n < 3 -> n++ :: n == 3 -> break od; assert(n < LIMIT) }\n"


@pytest.fixture(scope="module")
def found() -> Programs:
    try:
        return ensure_programs()
    except MissingToolError as missing:
        pytest.skip(f"no model was checked: {missing}")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(checking, "MODELS", tmp_path)
    return tmp_path


def test_a_violation_is_found_and_a_valid_model_passes(found: Programs, folder: Path) -> None:
    (folder / "tiny.pml").write_text(MODEL)
    holds = check(found, "tiny", {"LIMIT": 4}, Kind.SAFETY, seconds=60, optimise=False)
    broken = check(found, "tiny", {"LIMIT": 3}, Kind.SHORTEST, seconds=60, optimise=False)
    assert (holds.violation, holds.steps, holds.unreached) == (None, 0, frozenset())
    assert broken.violation == "assertion violated (n<3)"
    assert broken.steps >= 4


def test_an_unparsable_property_gives_no_verdict(found: Programs, folder: Path) -> None:
    """Spin only warns, skips the property, and finds no violation."""
    (folder / "tiny.pml").write_text(MODEL + "ltl p { <> ((n == 3 -> 1 : 0) == 1) }\n")
    with pytest.raises(UnfinishedError):
        check(found, "tiny", {"LIMIT": 4}, Kind.LIVENESS, seconds=60, optimise=False)


def test_a_search_beyond_its_time_out_gives_no_verdict(found: Programs) -> None:
    with pytest.raises(UnfinishedError):
        check(found, "settlement", {"SETTLERS": 2}, Kind.SAFETY, seconds=0.2, optimise=False)


def test_a_missing_compiler_gives_no_verdict(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(MissingToolError, match="no C compiler"):
        programs.ensure_programs()
    ended = CliRunner().invoke(run.model, [])
    assert ended.exit_code == 4
    assert "not checked: there is no C compiler" in ended.output
