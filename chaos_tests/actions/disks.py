"""Disk faults: a server's data on a separate small disk, which is then filled, or loses power.

The disk is a file with ext4, mounted by a loop device on the server's data directory. This needs root and Linux. The
server is stopped while its data is moved there and back, as part of the fault.
"""

from __future__ import annotations

import os
import shutil
import time
from contextlib import contextmanager, suppress
from fcntl import ioctl
from struct import pack
from typing import TYPE_CHECKING, Any

from chaos_tests.actions.durability import Written
from chaos_tests.actions.evidence import result
from chaos_tests.actions.processes import start
from chaos_tests.runners.drivers.driver import local
from chaos_tests.runners.process_tree import run_program
from infrastructure.local.accounts import database_account, postgres_data

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

# More than the 200 MB below which the broker blocks publishers.
ROOM_BYTES, CHUNK_BYTES = 320 * 1024 * 1024, 1024 * 1024
FILLER = "filler"
# EXT4_IOC_SHUTDOWN with NOLOGFLUSH: unsynced data is lost, like in a power cut.
SHUTDOWN, NO_LOG_FLUSH = 0x8004587D, 2


def move_to_small_disk(server: str, configuration: dict[str, Any]) -> dict[str, Any]:
    """Move a server's data to a separate disk with little free space."""
    driver = local(configuration)
    data = _data(configuration, server)
    driver.journal.add(move_back, {"server": server})
    driver.stop(server)
    image, aside = _image(configuration, server), _aside(data)
    used = int(run_program("du", "-sb", str(data)).split()[0])
    _make_disk(image, used * 5 // 4 + ROOM_BYTES)
    data.rename(aside)
    data.mkdir()
    shutil.copystat(aside, data)
    run_program("mount", "-o", "loop", str(image), str(data))
    run_program("cp", "-a", f"{aside}/.", str(data))
    shutil.rmtree(data / "lost+found", ignore_errors=True)
    run_program("sync", "--file-system", str(data))  # data that was synced before the copy must be synced here too
    start(server, configuration)
    return result(f"{server} had {_free(data) // 1_000_000} MB to spare on a disk of its own")


def move_back(server: str, configuration: dict[str, Any]) -> dict[str, Any]:
    """Move the data back, including everything written since."""
    driver = local(configuration)
    data = _data(configuration, server)
    aside, draft = _aside(data), data.with_name(f"{data.name}-draft")
    driver.stop(server)
    (data / FILLER).unlink(missing_ok=True)
    if data.is_mount():
        shutil.rmtree(draft, ignore_errors=True)
        run_program("cp", "-a", f"{data}/.", str(draft))
        run_program("sync", "--file-system", str(draft))
        shutil.copystat(data, draft)
        run_program("umount", str(data))
        data.rmdir()
        draft.rename(data)
    elif aside.exists():  # never mounted: nothing was written since
        with suppress(OSError):
            data.rmdir()
        if not data.exists():
            aside.rename(data)
    shutil.rmtree(aside, ignore_errors=True)
    _image(configuration, server).unlink(missing_ok=True)
    start(server, configuration)
    driver.journal.remove(move_back, {"server": server})
    return result(f"{server} was back on the large disk")


def fill(server: str, configuration: dict[str, Any], leave_megabytes: int = 0) -> dict[str, Any]:
    """Fill the server's disk until only that much space is left."""
    data = _data(configuration, server)
    if not data.is_mount():
        raise OSError(f"{server} has no separate disk")
    local(configuration).journal.add(make_room, {"server": server})
    leave = leave_megabytes * CHUNK_BYTES
    with suppress(OSError), (data / FILLER).open("wb", buffering=0) as file:
        for size in (CHUNK_BYTES, 4096, 1):
            with suppress(OSError):
                while _free(data) > leave and file.write(b"\0" * size):
                    pass
    free = _free(data)
    return result(f"{free} bytes were free on {server}'s disk", took_effect=free < leave + CHUNK_BYTES)


def make_room(server: str, configuration: dict[str, Any]) -> dict[str, Any]:
    """Remove the filler, and return when the server answers."""
    data = _data(configuration, server)
    (data / FILLER).unlink(missing_ok=True)
    start(server, configuration)
    local(configuration).journal.remove(make_room, {"server": server})
    return result(f"{_free(data) // 1_000_000} MB were free again")


def lose_power(server: str, configuration: dict[str, Any], before_seconds: float = 4.0) -> dict[str, Any]:
    """Cut the power of the server's disk under load, kill the server, and start it with the data on the disk."""
    driver = local(configuration)
    data = _data(configuration, server)
    if not data.is_mount():
        raise OSError(f"{server} has no separate disk")
    with _writing(configuration, server, before_seconds) as written:
        is_off = _cut(data)
    with suppress(Exception):  # it may have died already
        driver.kill(server)
    driver.stop(server)
    run_program("umount", str(data))
    run_program("mount", "-o", "loop", str(_image(configuration, server)), str(data))
    start(server, configuration)
    what = "; ".join(each.lost(configuration) for each in written)
    return result(f"{server}'s disk lost its power{what and ': '}{what}", took_effect=is_off)


@contextmanager
def _writing(configuration: dict[str, Any], server: str, seconds: float) -> Iterator[list[Written]]:
    """Under load; also checks PostgreSQL's own durability, with a control that must lose rows."""
    if server != "postgres":
        time.sleep(seconds)
        yield []
        return
    written = [Written(durable=True), Written(durable=False)]
    for each in written:
        each.begin(configuration)
    time.sleep(seconds)
    yield written
    for each in written:
        each.end()


def _cut(data: Path) -> bool:
    """Cut the power; returns whether writes fail."""
    descriptor = os.open(data, os.O_RDONLY | os.O_DIRECTORY)
    try:
        ioctl(descriptor, SHUTDOWN, pack("I", NO_LOG_FLUSH))
    finally:
        os.close(descriptor)
    return _is_off(data)


def _is_off(data: Path) -> bool:
    try:
        (data / FILLER).write_bytes(b"x")
    except OSError:
        return True
    return False


def _make_disk(image: Path, size: int) -> None:
    image.parent.mkdir(parents=True, exist_ok=True)
    with image.open("wb") as file:
        file.truncate(size)
    run_program("mkfs.ext4", "-q", "-F", "-m", "0", str(image))


def _data(configuration: dict[str, Any], server: str) -> Path:
    stack = local(configuration).stack
    if server == "postgres":
        return postgres_data(stack.home.path, stack.credentials.identity, database_account())
    return stack.home.data(server) / "data"


def _image(configuration: dict[str, Any], server: str) -> Path:
    return local(configuration).directory / "disks" / f"{server}.ext4"


def _aside(data: Path) -> Path:
    return data.with_name(f"{data.name}-aside")


def _free(data: Path) -> int:
    found = os.statvfs(data)
    return found.f_bavail * found.f_frsize
