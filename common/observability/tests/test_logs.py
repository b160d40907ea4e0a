import errno
import io
import json
import logging
import re
import subprocess
import sys
from collections.abc import Iterator

import pytest
import structlog

from common.observability import logs


@pytest.fixture(autouse=True)
def _restored() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.contextvars.clear_contextvars()


def _lines(captured: pytest.CaptureFixture[str]) -> list[dict[str, str]]:
    return [json.loads(line) for line in captured.readouterr().out.splitlines()]


def test_a_line_is_json_with_what_is_bound(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure_logging("orders")
    structlog.contextvars.bind_contextvars(correlation_id="c1", order_id="o1")
    logs.logger("here").info("order placed", items=3)
    (line,) = _lines(capsys)
    moment = line.pop("timestamp")
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z", moment)
    assert line == {
        "event": "order placed",
        "items": 3,
        "level": "info",
        "logger": "here",
        "service": "orders",
        "correlation_id": "c1",
        "order_id": "o1",
    }


def test_other_libraries_come_out_alike(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure_logging("orders")
    structlog.contextvars.bind_contextvars(correlation_id="c1")
    logging.getLogger("library").warning("look at %s", "this")
    (line,) = _lines(capsys)
    assert (line["event"], line["level"], line["logger"]) == ("look at this", "warning", "library")
    assert (line["service"], line["correlation_id"]) == ("orders", "c1")


def test_an_exception_stays_on_its_line(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure_logging("orders")
    try:
        int("bad\nthing")
    except ValueError as error:
        logs.logger("here").error("failed", exc_info=error)
        logging.getLogger("library").exception("failed")
    ours, theirs = _lines(capsys)
    assert "ValueError: invalid" in ours["exception"]
    assert "ValueError: invalid" in theirs["exception"]


def test_the_level_holds_for_all(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure_logging("orders", "WARNING")
    logs.logger("here").info("quiet")
    logging.getLogger("library").info("quiet")
    assert _lines(capsys) == []


def test_configuring_twice_does_not_double_lines(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure_logging("orders")
    logs.configure_logging("orders")
    logging.getLogger("library").warning("once")
    assert len(_lines(capsys)) == 1


def test_a_line_that_cannot_be_written_harms_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    logs.configure_logging("orders")
    monkeypatch.setattr(sys, "stdout", _FullDisk())
    logs.logger("here").info("lost")


class _FullDisk(io.StringIO):
    def write(self, _text: str) -> int:
        raise OSError(errno.ENOSPC, "no space left on device")


def test_a_process_that_logs_does_not_load_rich() -> None:
    code = "import sys; from common.observability import logs; sys.exit('rich' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
