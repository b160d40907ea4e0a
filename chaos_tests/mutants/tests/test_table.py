"""Every mutant matches the source that it changes, and the result compiles."""

from importlib.util import find_spec
from pathlib import Path

import pytest

from chaos_tests.mutants.mutant import Mutant
from chaos_tests.mutants.table import MUTANTS
from infrastructure.processes import PROCESSES


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_a_mutant_matches_the_source(mutant: Mutant) -> None:
    assert set(mutant.processes) <= {line.name for line in PROCESSES}
    for patch in mutant.patches:
        spec = find_spec(patch.module)
        assert spec is not None
        assert spec.origin is not None
        source = Path(spec.origin).read_text()
        assert source.count(patch.old) == 1, patch
        compile(source.replace(patch.old, patch.new), spec.origin, "exec")
