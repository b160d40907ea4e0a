"""Lints files that ruff does not read: shell scripts by shellcheck, Dockerfiles by hadolint."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
BIN = Path(sys.executable).parent
HIDDEN = (".ci", ".github")
SHEBANGS = (b"#!/bin/sh", b"#!/bin/bash", b"#!/usr/bin/env sh", b"#!/usr/bin/env bash")


def files() -> Iterator[Path]:
    """Every file of the repository, except ignored ones: in hidden directories, and compiled, which come and go."""
    for top in ROOT.iterdir():
        if top.name in HIDDEN or not top.name.startswith("."):
            yield from (path for path in (top.rglob("*") if top.is_dir() else (top,)) if is_kept(path))


def is_kept(path: Path) -> bool:
    return path.parent.name != "__pycache__" and path.is_file()


def first_line(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.readline().strip()


def checked(program: str, paths: list[Path]) -> None:
    ended = subprocess.run([BIN / program, *paths], cwd=ROOT, capture_output=True, text=True, check=False, timeout=60)
    assert ended.returncode == 0, ended.stdout + ended.stderr


@pytest.mark.skipif(not (BIN / "shellcheck").exists(), reason="no shellcheck for this kind of processor")
def test_shell_scripts_pass_shellcheck() -> None:
    scripts = [path for path in files() if first_line(path).startswith(SHEBANGS)]
    assert {"setup.sh", "gateway.sh", "run"} <= {path.name for path in scripts}
    checked("shellcheck", scripts)


def test_dockerfiles_pass_hadolint() -> None:
    dockerfiles = [path for path in files() if path.name == "Dockerfile"]
    assert ROOT / "infrastructure" / "docker" / "Dockerfile" in dockerfiles
    checked("hadolint", dockerfiles)
