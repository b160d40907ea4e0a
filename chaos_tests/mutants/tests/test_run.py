"""Which findings count as detected by a mutant's scenario."""

from chaos_tests.mutants.run import Findings, newly_broken


def test_earlier_violations_are_no_findings() -> None:
    before: Findings = {("P1", "order-1"): "still reserved"}
    after: Findings = {
        ("P4", "order-1"): "charged twice",
        ("P5", "order-2"): "a gap",
        ("P1", "order-2"): "still pending",
    }
    assert newly_broken(before, after) == [("P1", "order-2"), ("P5", "order-2")]
    assert newly_broken(after, after) == []
