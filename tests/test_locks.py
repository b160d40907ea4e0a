"""The locks are complete: all requirements of pyproject.toml and theirs, each with hashes."""

from __future__ import annotations

import re
import tomllib
from functools import cache
from importlib.metadata import PackageNotFoundError, requires

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.test_tree import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
RUNTIME: list[str] = PROJECT["project"]["dependencies"]
REQUIREMENTS: dict[str, list[str]] = {
    "runtime": RUNTIME,
    "dev": [*RUNTIME, *PROJECT["project"]["optional-dependencies"]["dev"]],
    **PROJECT["dependency-groups"],
}
PLACES = [
    {"python_version": f"3.{minor}", "python_full_version": f"3.{minor}.9", "platform_machine": machine}
    for minor in range(11, 15)
    for machine in ("x86_64", "aarch64")
]
LOCKS = sorted(REQUIREMENTS)


def text_of(lock: str) -> str:
    return (ROOT / "requirements" / f"{lock}.txt").read_text(encoding="utf-8")


@cache
def locked(lock: str) -> list[Requirement]:
    lines = text_of(lock).replace("\\\n", " ").splitlines()
    return [Requirement(line.partition(" --hash")[0]) for line in lines]


def pins(lock: str, place: dict[str, str]) -> dict[str, str]:
    """The locked version of each package, for an environment with these markers."""
    chosen = [each for each in locked(lock) if each.marker is None or each.marker.evaluate(place)]
    found: dict[str, str] = {canonicalize_name(each.name): str(each.specifier).removeprefix("==") for each in chosen}
    assert len(found) == len(chosen), "a package is locked twice for one place"
    return found


def unsatisfied(requirements: list[str], pinned: dict[str, str], place: dict[str, str]) -> list[str]:
    """The unsatisfied requirements, including those of packages and their extras."""
    missing = []
    seen: set[tuple[str, str]] = set()
    todo = [(Requirement(each), "") for each in requirements]
    while todo:
        requirement, extra = todo.pop()
        if requirement.marker is not None and not requirement.marker.evaluate({**place, "extra": extra}):
            continue
        name = canonicalize_name(requirement.name)
        if name not in pinned or not requirement.specifier.contains(pinned[name], prereleases=True):
            missing.append(str(requirement))
            continue
        new = {(name, each) for each in ("", *requirement.extras)} - seen
        seen |= new
        todo += [(Requirement(each), further) for _, further in new for each in required_by(name)]
    return missing


def required_by(name: str) -> list[str]:
    try:
        return requires(name) or []
    except PackageNotFoundError:
        pytest.fail(f"{name} is in the lock and not installed here: run `make setup`")


def test_lock_files_exist() -> None:
    assert {path.stem for path in (ROOT / "requirements").glob("*.txt")} == set(LOCKS)
    assert len(locked("runtime")) > 50


@pytest.mark.parametrize("lock", LOCKS)
def test_each_package_has_hashes_and_no_url(lock: str) -> None:
    text = text_of(lock)
    assert len(re.findall(r"==[^\\\n]*\\\n    --hash=sha256:[0-9a-f]{64}", text)) == len(locked(lock))
    assert not re.findall(r"(?m)://|^ *--(?!hash=)|@", text)


@pytest.mark.parametrize("lock", LOCKS)
@pytest.mark.parametrize("place", PLACES, ids=lambda place: "-".join(place.values()))
def test_each_lock_satisfies_the_projects_requirements(lock: str, place: dict[str, str]) -> None:
    pinned = pins(lock, place)
    requirements = [
        each for each in map(Requirement, REQUIREMENTS[lock]) if each.marker is None or each.marker.evaluate(place)
    ]
    assert [
        str(each) for each in requirements if not each.specifier.contains(pinned[canonicalize_name(each.name)])
    ] == []


@pytest.mark.parametrize("lock", ["runtime", "dev"])  # tox runs `pip check` on the installed ones
@pytest.mark.parametrize("place", PLACES, ids=lambda place: "-".join(place.values()))
def test_each_packages_requirements_are_in_the_lock(lock: str, place: dict[str, str]) -> None:
    assert unsatisfied(REQUIREMENTS[lock], pins(lock, place), place) == []


def test_a_missing_requirement_of_an_extra_is_detected() -> None:
    place = PLACES[0]
    pinned = pins("dev", place)
    del pinned["sortedcontainers"]
    assert unsatisfied(["hypothesis"], pinned, place) == ["sortedcontainers<3.0.0,>=2.1.0"]
    assert unsatisfied(["coverage[toml]>99"], pinned, place) == ["coverage[toml]>99"]


def test_tests_use_the_shipped_versions() -> None:
    dev = {str(each) for each in locked("dev")}
    assert {str(each) for each in locked("runtime")} <= dev


@pytest.mark.parametrize(
    "file", ["tox.ini", "infrastructure/docker/Dockerfile", "infrastructure/local/locked_packages.py"]
)
def test_packages_are_installed_without_resolving(file: str) -> None:
    text = (ROOT / file).read_text(encoding="utf-8")
    hashed = re.findall(r"(--no-deps\W+)?--require-hashes", text)
    assert hashed
    assert all(hashed)
