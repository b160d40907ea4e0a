"""Ports in use are detected before anything is started."""

import socket
from pathlib import Path

import pytest

from infrastructure.local.errors import StackError
from infrastructure.local.home import open_home
from infrastructure.local.ports import assert_ports_free, choose_ports, free_port_base, is_free


def test_a_port_in_use_is_named_with_its_process(tmp_path: Path) -> None:
    base = free_port_base(tmp_path)
    home = open_home(tmp_path / "home", base)
    assert_ports_free(home)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", home.port("mongodb")))
        taken.listen()
        assert not is_free(home.port("mongodb"))
        with pytest.raises(StackError, match=rf"port {base + 15}, meant for mongodb"):
            assert_ports_free(home)


def test_free_ports_are_below_the_ephemeral_range(tmp_path: Path) -> None:
    assert 10_000 <= free_port_base(tmp_path) < 32_000


def test_a_new_stack_uses_the_next_free_range(tmp_path: Path) -> None:
    home = open_home(tmp_path / "home", free_port_base(tmp_path))
    assert choose_ports(home) == home
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", home.port("gateway")))
        taken.listen()
        chosen = choose_ports(home)
    assert chosen.path == home.path
    assert chosen.port_base >= home.port_base + 100
    assert_ports_free(chosen)
