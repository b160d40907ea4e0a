"""The report: one self-contained page, with the figures that were measured."""

import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from chaos_tests.runners.checker import snapshot as snapshots
from chaos_tests.runners.checker.check import check
from chaos_tests.runners.checker.synthetic import Made, make
from chaos_tests.runners.report.__main__ import write
from chaos_tests.runners.report.figures import Drawn, Panel, Time, clock, lanes, linear, round_step
from chaos_tests.runners.report.series import count

WISHES = 150


def directory_of(made: Made, path: Path) -> Path:
    (path / "history.jsonl").write_text("".join(f"{json.dumps(each)}\n" for each in made.records))
    snapshots.write(made.snapshot, path / "snapshot.jsonl")
    (path / "verdict.json").write_text(json.dumps(check(made.records, made.snapshot).document()))
    (path / "meta.json").write_text(json.dumps({"command": "holdfast chaos run <x>", "seed": 7}))
    return path


class Page(HTMLParser):
    """The page's elements, whether each is closed, and the resources that they load."""

    VOID = frozenset({"meta", "link", "br", "img", "input"})

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.loaded: list[str] = []
        self.seen: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.add(tag)
        self.loaded += [f"{tag} {name}" for name, _ in attrs if name in {"src", "href", "srcset"}]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_the_page_is_self_contained(tmp_path: Path) -> None:
    page = write(directory_of(make(WISHES), tmp_path))
    text = page.read_text()
    parsed = Page(text)
    assert parsed.open == []
    assert parsed.loaded == []
    assert {"svg", "style", "table", "script"} <= parsed.seen
    assert not re.search(r"url\(|@import|https?://", text)
    assert "Every promise tried was kept." in text
    assert "rabbitmq killed" in text
    assert "holdfast chaos run &lt;x&gt;" in text
    report = json.loads((tmp_path / "report.json").read_text())
    assert report["verdict"]["verdict"] == "valid"
    assert report["meta"]["seed"] == 7


def test_a_violation_is_shown_with_its_timeline(tmp_path: Path) -> None:
    made = make(WISHES)
    lost = next(view for view in made.snapshot.orders.values() if view.status == "confirmed")
    del made.snapshot.orders[lost.id]
    text = write(directory_of(made, tmp_path)).read_text()
    assert "A promise was broken." in text
    assert lost.id in text
    assert "asked for by" in text


def test_memory_and_storage_are_shown_by_process_and_table(tmp_path: Path) -> None:
    made = make(WISHES)
    start, end = made.records[0]["t_mono"], max(record["t_mono"] for record in made.records)
    for share, memory, size in ((0.1, 50, 2), (0.5, 90, 8), (0.9, 60, 5)):
        sample = {"memory": {"relay-orders": memory * 10**6}, "storage": {"orders.orders": size * 10**6, "a.b": 8192}}
        made.records.append({"kind": "resources", "t_mono": start + share * (end - start), **sample})
    made.records.append({"kind": "resources", "t_mono": end, "memory": {}, "storage": {}})  # nothing could be read
    text = write(directory_of(made, tmp_path)).read_text()
    process = re.search(r"<tr><td class=\"what\">relay-orders</td>.*</tr>", text)
    table = re.search(r"<tr><td class=\"what\">orders.orders</td>.*</tr>", text)
    assert process
    assert table
    assert re.findall(r'class="n">([^<]+)', process[0]) == ["50", "90", "60"]
    assert re.findall(r'class="n">([^<]+)', table[0]) == ["8", "5", f"{3_000_000 / WISHES:,.0f}"]
    assert "a.b" not in text
    report = json.loads((tmp_path / "report.json").read_text())
    assert report["series"]["memory"]["relay-orders"][-1] == 60.0


@pytest.mark.parametrize(
    ("names", "reported"),
    [
        (["a"], "during one fault."),
        (["a", "a"], "during 2 faults from 1 experiment."),
        (["a", "b"], "during 2 faults from 2 experiments."),
        (["a", "b+c"], "during 2 faults from 3 experiments, some two at once."),
    ],
)
def test_faults_and_their_kinds_are_counted(names: list[str], reported: str, tmp_path: Path) -> None:
    directory = directory_of(make(WISHES), tmp_path)
    verdict = json.loads((directory / "verdict.json").read_text())
    verdict["faults"] = [verdict["faults"][0] | {"name": name} for name in names]
    (directory / "verdict.json").write_text(json.dumps(verdict))
    assert reported in write(directory).read_text()


def test_names_are_escaped(tmp_path: Path) -> None:
    made = make(WISHES)
    for record in made.records:
        if record["kind"] == "fault":
            record["name"] = "</script><b>x"
    assert Page(write(directory_of(made, tmp_path)).read_text()).open == []


def test_a_history_without_a_start_is_rejected() -> None:
    with pytest.raises(ValueError, match="beginning"):
        count(make(WISHES).records[1:], None)


def test_every_accepted_order_is_counted_once() -> None:
    made = make(WISHES)
    series = count(made.records, made.snapshot)
    assert sum(value or 0 for value in series.accepted) * series.step_seconds == pytest.approx(WISHES)
    confirmed = sum(view.status == "confirmed" for view in made.snapshot.orders.values())
    assert sum(value or 0 for value in series.confirmed) * series.step_seconds == pytest.approx(confirmed, abs=3)
    assert sum(value or 0 for value in series.unanswered) == WISHES // 50
    assert series.latency_ms["p50"] == pytest.approx(4.0)


def test_unknown_values_are_gaps() -> None:
    figure = linear(Time(4.0, 1.0), Panel("", "", ""), [Drawn("x", "x", [1.0, None, 2.0, 3.0])])
    assert figure.lines[0].path.count("M") == 2


def test_axes_start_at_zero_and_have_round_steps() -> None:
    figure = linear(Time(10.0, 1.0), Panel("", "", ""), [Drawn("x", "x", [0.0, 730.0])])
    assert [tick.label for tick in figure.y_ticks] == ["0", "200", "400", "600", "800"]
    assert [round_step(top) for top in (0.3, 1, 7, 4999)] == [0.1, 0.2, 2, 1000]
    assert [clock(75), clock(3_700)] == ["1:15", "1:01:40"]


def test_a_fault_of_two_targets_is_on_both_lanes() -> None:
    fault = {"name": "pair", "began": 1.0, "ended": 2.0, "healed": 2.0, "recovery_seconds": 0.5}
    drawn = lanes(Time(10.0, 1.0), [fault | {"target": "mongodb"}, fault | {"target": "rabbitmq and mongodb"}])
    assert [label.label for label in drawn["labels"]] == ["mongodb", "rabbitmq"]
    assert [bar["number"] for bar in drawn["bars"]] == [1, 2, 2]
    assert len({bar["y"] for bar in drawn["bars"]}) == 2
