"""One daemon for each state directory, and what tells a copy from the original."""

from __future__ import annotations

import os
import shutil
import socket
import stat
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from swampd import locations
from swampd.errors import DaemonRunning, UnsafeLocation
from swampd.instance import Instance, claim, clear_socket

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    home = tmp_path / "home"
    home.mkdir()
    return {"HOME": str(home), "SWAMPD_SOCKET": str(tmp_path / "run" / "s")}


@pytest.fixture
def claimed(environ: dict[str, str]) -> Iterator[Instance]:
    instance = claim(environ, "boot 1")
    yield instance
    os.close(instance.descriptor)


def again(environ: dict[str, str], boot_id: str = "boot 1") -> Instance:
    instance = claim(environ, boot_id)
    os.close(instance.descriptor)
    return instance


def test_the_lock_file_says_who_has_it(claimed: Instance) -> None:
    found = locations.read_lock_file(claimed.state)
    assert found is not None
    assert (found.pid, found.socket, found.boot_id) == (os.getpid(), str(claimed.socket), "boot 1")
    assert stat.S_IMODE(locations.lock_file(claimed.state).stat().st_mode) == 0o600


def test_a_second_one_is_refused_naming_the_first(
    claimed: Instance, environ: dict[str, str]
) -> None:
    with pytest.raises(DaemonRunning, match=f"pid {os.getpid()}"):
        claim(environ)
    assert claimed.daemon_id


def test_the_id_stays_while_boot_and_lock_file_do(environ: dict[str, str]) -> None:
    first = again(environ)
    second = again(environ)
    assert first.daemon_id == second.daemon_id
    assert first.instance_id != second.instance_id
    assert first.inode == second.inode


def test_another_boot_is_another_id(environ: dict[str, str]) -> None:
    assert again(environ).daemon_id != again(environ, "boot 2").daemon_id


def test_a_copy_of_the_state_directory_gets_another_id(
    environ: dict[str, str], tmp_path: Path
) -> None:
    first = again(environ)
    copy = tmp_path / "copy" / "swampd"
    shutil.copytree(first.state, copy)
    copied = again({**environ, "XDG_STATE_HOME": str(copy.parent)})
    assert copied.state == copy
    assert copied.daemon_id != first.daemon_id


def test_a_damaged_identity_is_a_new_one(environ: dict[str, str]) -> None:
    first = again(environ)
    (first.state / "daemon.json").write_text("[]")
    assert again(environ).daemon_id != first.daemon_id


def test_a_stale_socket_goes_and_a_living_one_stays(tmp_path: Path) -> None:
    path = tmp_path / "s"
    with closing(socket.socket(socket.AF_UNIX)) as server:
        server.bind(str(path))
        server.listen()
        with pytest.raises(DaemonRunning, match="another daemon answers"):
            clear_socket(path)
        assert path.exists()
    clear_socket(path)
    assert not path.exists()
    clear_socket(path)


def test_what_is_no_socket_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "s"
    path.write_text("mine")
    with pytest.raises(UnsafeLocation, match="is not a socket"):
        clear_socket(path)


def test_a_socket_directory_that_is_open_to_others_is_refused(environ: dict[str, str]) -> None:
    folder = locations.default_socket(environ).parent
    folder.mkdir(mode=0o755)
    folder.chmod(0o755)
    with pytest.raises(UnsafeLocation, match="is open to others"):
        claim(environ)
