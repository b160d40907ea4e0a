"""The models hold within the quick bounds, and each mutant is found by the property that it breaks.

Skipped with a reason if Spin or a C compiler is not available: then nothing is checked.
"""

import pytest

from chaos_tests.model.case import Case
from chaos_tests.model.cases import MUTANTS, QUICK
from chaos_tests.model.programs import MissingToolError, Programs, ensure_programs
from chaos_tests.model.run import check_all


@pytest.fixture(scope="module")
def programs() -> Programs:
    try:
        return ensure_programs()
    except MissingToolError as missing:
        pytest.skip(f"no model was checked: {missing}")


@pytest.mark.slow
@pytest.mark.timeout(900)  # half a minute on an idle machine
def test_the_models_hold_and_their_mutants_are_found(programs: Programs) -> None:
    rows = list(check_all(programs, [*QUICK, *MUTANTS], seconds=300))
    assert len(MUTANTS) >= 10
    assert [(row.checked, row.verdict) for row in rows if not row.passed] == []
    for model in {case.model for case in QUICK}:
        never = [
            row.verdict.unreached
            for row in rows
            if row.verdict and isinstance(row.checked, Case) and row.checked.model == model
        ]
        assert frozenset.intersection(*never) == set(), "this part of the model is never tried"
