"""Our small kustomize renders what kustomize renders."""

import json
import re
import shutil
import subprocess
from typing import Any

import pytest
import yaml

from infrastructure.kubernetes.tests.merging import MERGE_KEYS
from infrastructure.kubernetes.tests.overlays import OVERLAYS, ROOM, rendered

FIRST_GOOD = 5  # kustomize 4, in kubectl before 1.27, knows no `labels` with templates


def kubectl() -> str | None:
    """A kubectl with a kustomize that is new enough, if there is one."""
    path = shutil.which("kubectl")
    if path is None:
        return None
    answer = subprocess.run([path, "version", "--client"], capture_output=True, text=True, timeout=30, check=False)
    found = re.search(r"Kustomize Version: v(\d+)", answer.stdout)
    return path if found and int(found[1]) >= FIRST_GOOD else None


def sorted_lists(value: Any, field: str = "") -> Any:
    """Lists that are merged by a name have no order of their own."""
    if isinstance(value, dict):
        return {key: sorted_lists(each, key) for key, each in value.items()}
    if isinstance(value, list):
        name = MERGE_KEYS.get(field)
        plain = [sorted_lists(each) for each in value]
        return sorted(plain, key=lambda each: str(each.get(name))) if name else plain
    return value


def comparable(resources: Any) -> dict[str, str]:
    return {
        f"{each['kind']}/{each['metadata']['name']}": json.dumps(sorted_lists(each), sort_keys=True, indent=1)
        for each in resources
    }


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_kustomize_itself_renders_the_same(overlay: str) -> None:
    program = kubectl()
    if program is None:
        pytest.skip("no kubectl with kustomize 5 here")
    answer = subprocess.run(
        [program, "kustomize", str(ROOM / "overlays" / overlay)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert answer.returncode == 0, answer.stderr
    theirs = comparable(each for each in yaml.safe_load_all(answer.stdout) if each)
    ours = comparable(rendered(overlay))
    assert sorted(ours) == sorted(theirs)
    for name, text in theirs.items():
        assert ours[name] == text, name


def test_names_are_unique() -> None:
    for overlay in OVERLAYS:
        names = [(each["kind"], each["metadata"]["name"]) for each in rendered(overlay)]
        assert len(names) == len(set(names)), overlay
