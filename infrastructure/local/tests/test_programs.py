"""A server is found if it runs and is new enough; a download is complete or absent."""

import os
from contextlib import suppress
from pathlib import Path

import pytest

from infrastructure.local.cache import cache_directory, filled
from infrastructure.local.errors import MissingServerError
from infrastructure.local.fetch import ensure_browser, ensure_servers
from infrastructure.local.programs import BROWSER, SERVERS, complaint, locate


@pytest.fixture(autouse=True)
def _no_system_programs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOLDFAST_PRIVATE_SERVERS", "1")


def put_mongod(cache: Path, script: str) -> None:
    program = cache / "mongodb" / "bin" / "mongod"
    program.parent.mkdir(parents=True)
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)


def test_a_working_program_is_found_with_its_environment(tmp_path: Path) -> None:
    put_mongod(tmp_path, "echo db version v6.0.5")
    (tmp_path / "mongodb/usr/lib/x86_64-linux-gnu").mkdir(parents=True)
    found = locate("mongodb", tmp_path)
    assert found is not None
    assert (found.version, found.private) == ("6.0.5", True)
    assert found.environment["LD_LIBRARY_PATH"].endswith("/usr/lib/x86_64-linux-gnu")


def test_a_library_in_a_separate_folder_is_found(tmp_path: Path) -> None:
    put_mongod(tmp_path, "echo db version v6.0.5")
    libraries = tmp_path / "mongodb/usr/lib/x86_64-linux-gnu"
    (libraries / "pulseaudio").mkdir(parents=True)
    (libraries / "gtk-3.0").mkdir()
    (libraries / "pulseaudio/libpulsecommon-16.1.so").touch()
    found = locate("mongodb", tmp_path)
    assert found is not None
    assert found.environment["LD_LIBRARY_PATH"] == f"{libraries}:{libraries}/pulseaudio"


def test_the_error_of_a_failing_program_is_quoted(tmp_path: Path) -> None:
    put_mongod(tmp_path, "echo libssl.so.3: cannot open shared object file >&2; exit 127")
    assert complaint("mongodb", tmp_path) == "libssl.so.3: cannot open shared object file"


@pytest.mark.parametrize(
    "script",
    ["echo db version v4.2.9", "echo db version v6.0.5; exit 1", "echo something else", "kill -ILL $$"],
    ids=["too old", "fails", "says nothing", "wrong processor"],
)
def test_an_unusable_program_is_not_found(tmp_path: Path, script: str) -> None:
    put_mongod(tmp_path, script)
    assert locate("mongodb", tmp_path) is None


def test_no_program_is_found_in_an_empty_directory(tmp_path: Path) -> None:
    assert all(locate(name, tmp_path) is None for name in (*SERVERS, BROWSER))


def test_a_failed_download_leaves_no_files(tmp_path: Path) -> None:
    (tmp_path / "thing").mkdir()
    with suppress(RuntimeError), filled(tmp_path / "thing") as staging:
        (staging / "half").touch()
        raise RuntimeError
    assert [path.name for path in tmp_path.iterdir()] == ["thing"]
    with filled(tmp_path / "thing") as staging:
        (staging / "whole").touch()
    assert (tmp_path / "thing" / "whole").exists()


def test_an_unavailable_server_is_named_with_its_fix(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOLDFAST_CACHE", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path))  # neither apt-get nor dpkg: not Debian
    with pytest.raises(MissingServerError, match=r"^PostgreSQL is missing\..*apt-get install postgresql\n"):
        ensure_servers(lambda _: None)


def test_an_unavailable_browser_is_named_and_fails_the_tests(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOLDFAST_CACHE", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(MissingServerError, match=r"^Chromium is missing\..*apt-get install chromium"):
        ensure_browser(lambda _: None)


def test_a_folder_that_cannot_be_created_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("HOLDFAST_CACHE", str(tmp_path / "file" / "cache"))
    with pytest.raises(MissingServerError, match=r"HOLDFAST_CACHE names another folder\.\n.*/file/cache"):
        ensure_servers(lambda _: None)


def test_the_cache_folder_is_configurable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOLDFAST_CACHE", str(tmp_path / "x"))
    assert cache_directory() == tmp_path / "x"
    monkeypatch.delenv("HOLDFAST_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "closed" / "cache"))
    (tmp_path / "closed").mkdir(mode=0o700)
    expected = tmp_path / "closed/cache/holdfast" if os.geteuid() else Path("/var/cache/holdfast")
    assert cache_directory() == expected
