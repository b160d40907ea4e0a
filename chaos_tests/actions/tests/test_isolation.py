"""The serialization failures in PostgreSQL's log are counted per transaction since the fault began."""

from pathlib import Path

from chaos_tests.actions.isolation import _refused

LINE = "2026-11-22 20:03:02.804 UTC [31125] {} ERROR:  could not serialize access due to concurrent update\n"
ANOTHER = '2026-11-22 20:03:02.804 UTC [31125] orders@orders ERROR:  duplicate key value violates "outbox_pkey"\n'


def test_only_the_systems_failures_since_the_start_are_counted(tmp_path: Path) -> None:
    log = tmp_path / "postgres.log"
    log.write_text(LINE.format("orders@orders"))
    began_at = log.stat().st_size
    lines = [LINE.format(who) for who in ("inventory@inventory", "orders@orders", "postgres@inventory")]
    log.write_text(log.read_text() + "".join([*lines, ANOTHER]))
    assert _refused(log, began_at, "postgres") == {"inventory": 1, "orders": 1}


def test_a_rotated_log_is_read_from_its_start(tmp_path: Path) -> None:
    log = tmp_path / "postgres.log"
    log.write_text(LINE.format("orders@orders"))
    assert _refused(log, 10_000, "postgres") == {"orders": 1}
