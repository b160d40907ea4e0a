"""The process file: commands and environments of a stack's processes."""

from pathlib import Path

from infrastructure.local.home import open_home
from infrastructure.local.spec import Spec, change_environments, read_specs, write_specs


def test_variables_are_set_and_removed_and_other_processes_keep_theirs(tmp_path: Path) -> None:
    home = open_home(tmp_path / "home", 9000)
    write_specs(home, [Spec("relay-1", ["relay"], {"A": "1", "B": "2"}), Spec("relay-2", ["relay"], {"A": "1"})])
    change_environments(home, {"relay-1": {"A": None, "C": "3"}})
    found = read_specs(home.programs_file)
    assert {name: spec.environment for name, spec in found.items()} == {
        "relay-1": {"B": "2", "C": "3"},
        "relay-2": {"A": "1"},
    }
    assert found["relay-1"].words == ["relay"]
