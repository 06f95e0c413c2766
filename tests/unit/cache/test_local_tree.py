"""What only a real file system can show: links, permissions, changes under our hands."""

from __future__ import annotations

import ctypes
import errno
import os
import socket
import stat
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from swampd.cache import private, reading, renaming, syscalls
from swampd.cache.tree import LocalTree
from swampd.domain.values import CachePath
from swampd.ports import (
    FileRead,
    Kind,
    PlaceProblem,
    ReadProblem,
    ScanRow,
    SealedFile,
    Seen,
    Unreadable,
)
from tests.unit.cache.conftest import DiskUser, World
from tests.unit.cache.forcing import walk_by_components

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

NOBODY = 65534


@pytest.fixture
def world(local: LocalTree, disk: DiskUser) -> World:
    return World(local, disk)


@pytest.fixture(params=["openat2", "by components"])
def resolving(
    request: pytest.FixtureRequest, root: Path, disk: DiskUser, monkeypatch: pytest.MonkeyPatch
) -> Iterator[World]:
    """A world for each way of resolving a path."""
    if request.param == "by components":
        walk_by_components(monkeypatch)
    with LocalTree(root) as tree:
        yield World(tree, disk)


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    place = tmp_path / "outside"
    place.mkdir()
    (place / "secret").write_bytes(b"secret")
    return place


@contextmanager
def as_nobody() -> Iterator[None]:
    """Permission checks do not apply to root: be somebody else for the block."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)


def rows(world: World, under: str = "") -> list[ScanRow]:
    return list(world.tree.scan(under, lambda _: False))


def read(world: World, path: str, *, keep: bool = True) -> FileRead | ReadProblem:
    return world.tree.read(CachePath(path), keep=keep)


def before_call(monkeypatch: pytest.MonkeyPatch, function: str, act: Callable[[], None]) -> None:
    """Run `act` once, just before the first call of a function of `os`."""
    real = getattr(os, function)

    def call(*arguments: object, **named: object) -> object:
        monkeypatch.setattr(os, function, real)
        act()
        return real(*arguments, **named)

    monkeypatch.setattr(os, function, call)


# --- the root ---------------------------------------------------------------------------------


def test_a_root_must_be_there_to_be_opened(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        LocalTree(tmp_path / "missing")
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(NotADirectoryError):
        LocalTree(tmp_path / "file")


def test_a_root_is_made_with_its_parents(tmp_path: Path) -> None:
    with LocalTree.create(tmp_path / "a" / "b") as tree:
        assert tree.present()
    with LocalTree.create(str(tmp_path / "a" / "b")) as tree:
        assert tree.present()


def test_a_root_that_was_removed_is_not_present_and_is_no_delete(
    world: World, root: Path, tmp_path: Path
) -> None:
    world.user.write("f", b"")
    root.rename(tmp_path / "moved")
    assert not world.tree.present()
    root.mkdir()
    assert not world.tree.present()


def test_a_removed_root_is_unreadable_and_takes_nothing(
    world: World, root: Path, disk: DiskUser
) -> None:
    world.stage("n", b"")
    disk.delete("")
    assert not world.tree.present()
    assert [type(row) for row in rows(world)] == [Unreadable]
    assert world.tree.marker() is None
    with pytest.raises(FileNotFoundError):
        world.place("n", "f")
    with pytest.raises(FileNotFoundError):
        world.tree.write_marker(b"")
    assert not root.exists()


def test_a_closed_tree_touches_no_other_descriptor(root: Path) -> None:
    tree = LocalTree(root)
    tree.close()
    tree.close()
    for use in (lambda: tree.stat("f"), tree.sync, tree.free_bytes, lambda: tree.stat("")):
        with pytest.raises(OSError, match="Bad file descriptor"):
            use()


def test_a_private_area_that_is_a_link_is_refused(root: Path, outside: Path) -> None:
    (root / ".swampd").symlink_to(outside)
    before = descriptors()
    with pytest.raises(OSError, match=r"\.swampd"):
        LocalTree(root)
    assert sorted(path.name for path in outside.iterdir()) == ["secret"]
    assert descriptors() == before


@pytest.mark.usefixtures("local")
def test_the_private_area_is_private(root: Path) -> None:
    modes = {
        str(place.relative_to(root)): stat.S_IMODE(place.stat().st_mode)
        for place in root.rglob("*")
    }
    assert modes == {
        ".swampd": 0o700,
        ".swampd/tmp": 0o700,
        ".swampd/trash": 0o700,
        ".swampd/conflicts": 0o700,
    }


def descriptors() -> list[str]:
    return sorted(path.name for path in Path("/proc/self/fd").iterdir())


def test_no_descriptor_is_left_open(resolving: World) -> None:
    resolving.user.write("a/f", b"")
    resolving.user.special("l", Kind.SYMLINK)
    before = descriptors()
    resolving.stage("n", b"")
    resolving.place("n", "a/f")
    resolving.place("n", "l/x")
    resolving.exchange("n", "missing/a")
    resolving.exchange("n", "a/f")
    resolving.tree.tmp_to_conflicts("n", CachePath("a/f"))
    for path in ("a/f", "a", "l", "l/x", "..", "missing/x"):
        read(resolving, path)
    rows(resolving)
    next(iter(resolving.tree.scan("", lambda _: False)))
    resolving.tree.children("l")
    resolving.tree.marker()
    resolving.tree.write_marker(b"")
    resolving.tree.now_ns()
    assert descriptors() == before


# --- links ------------------------------------------------------------------------------------


def test_a_link_in_the_middle_of_a_path_is_never_followed(resolving: World, outside: Path) -> None:
    (outside / "below").mkdir()
    (outside / "below" / "f").write_bytes(b"secret")
    resolving.user.mkdir("a")
    link = resolving.user.root / "a" / "l"  # type: ignore[attr-defined]
    link.symlink_to(outside)
    resolving.stage("n", b"ours")
    for path in ("a/l/secret", "a/l/below/f", "a/l/new", "a/l/new/f"):
        assert read(resolving, path) is ReadProblem.GONE
        assert resolving.tree.stat(path) is None
        assert resolving.place("n", path) is PlaceProblem.BLOCKED
        assert resolving.exchange("n", path) is PlaceProblem.BLOCKED
        assert resolving.tree.move_to_tmp(CachePath(path), "m") is PlaceProblem.BLOCKED
        resolving.tree.prune_empty(CachePath(path))
    assert rows(resolving, "a/l/below") == []
    assert resolving.tree.children("a/l/below") == []
    assert rows(resolving, "a/l") == rows(resolving) == [Seen("a/l", Kind.SYMLINK, None)]
    found = sorted(str(place.relative_to(outside)) for place in outside.rglob("*"))
    assert found == ["below", "below/f", "secret"]


def test_a_directory_swapped_for_a_link_during_a_scan_is_reported_as_one(
    resolving: World, root: Path, outside: Path
) -> None:
    resolving.user.write("a/f", b"")

    def swap(path: str) -> bool:
        if path == "a":
            (root / "a").rename(outside.parent / "was a")
            (root / "a").symlink_to(outside)
        return False

    assert list(resolving.tree.scan("", swap)) == [Seen("a", Kind.SYMLINK, None)]


def test_a_link_swapped_in_above_during_a_scan_leads_nowhere(
    resolving: World, root: Path, outside: Path
) -> None:
    (outside / "b").mkdir()
    (outside / "b" / "stolen").write_bytes(b"")
    resolving.user.write("a/b/f", b"")

    def swap(path: str) -> bool:
        if path == "a/b":
            (root / "a").rename(outside.parent / "was a")
            (root / "a").symlink_to(outside)
        return False

    assert list(resolving.tree.scan("", swap)) == []


def test_what_vanishes_during_a_scan_yields_nothing(resolving: World, disk: DiskUser) -> None:
    resolving.user.write("a/b/f", b"")
    resolving.user.write("a/g", b"")

    def vanish(path: str) -> bool:
        if path in {"a/b", "a/g"}:
            disk.delete(path)
        return False

    assert list(resolving.tree.scan("", vanish)) == []


def test_a_link_swapped_in_between_two_components_is_refused(
    world: World, root: Path, outside: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.user.write("a/b/f", b"")
    (outside / "f").write_bytes(b"secret")
    walk_by_components(monkeypatch)
    real = os.open

    def swap(path: bytes | str, *arguments: int, **named: int) -> int:
        if path == b"b":
            monkeypatch.setattr(os, "open", real)
            (root / "a" / "b").rename(root / "was b")
            (root / "a" / "b").symlink_to(outside)
        return real(path, *arguments, **named)

    with LocalTree(root) as tree:
        monkeypatch.setattr(os, "open", swap)
        assert tree.read(CachePath("a/b/f"), keep=True) is ReadProblem.GONE


def test_a_link_swapped_in_before_the_open_is_refused(
    world: World, root: Path, outside: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.user.write("f", b"")
    real = os.open

    def swap(path: bytes | str, *arguments: int, **named: int) -> int:
        if path == b"f":
            (root / "f").unlink()
            (root / "f").symlink_to(outside / "secret")
        return real(path, *arguments, **named)

    monkeypatch.setattr(os, "open", swap)
    assert read(world, "f") is ReadProblem.GONE


def test_a_fifo_swapped_in_before_the_open_does_not_hold_us(
    world: World, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.user.write("f", b"")
    real = os.open

    def swap(path: bytes | str, *arguments: int, **named: int) -> int:
        if path == b"f":
            (root / "f").unlink()
            os.mkfifo(root / "f")
        return real(path, *arguments, **named)

    monkeypatch.setattr(os, "open", swap)
    assert read(world, "f") is ReadProblem.BUSY


def test_a_rename_that_races_with_openat2_is_resolved_by_components(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.user.write("a/b/f", b"x")

    def again(*_: object) -> int:
        raise OSError(errno.EAGAIN, os.strerror(errno.EAGAIN))

    monkeypatch.setattr(syscalls, "open_beneath", again)
    assert isinstance(read(world, "a/b/f"), FileRead)


def test_a_directory_in_the_place_of_a_listed_file_is_scanned(world: World, disk: DiskUser) -> None:
    world.user.write("f", b"")

    def swap(path: str) -> bool:
        if path == "f":
            disk.delete("f")
            disk.write("f/g", b"")
        return False

    found = [row.path for row in world.tree.scan("", swap)]
    assert found == ["f/g"]


# --- kinds ------------------------------------------------------------------------------------


def test_sockets_and_devices_are_listed_as_other(world: World, root: Path) -> None:
    server = socket.socket(socket.AF_UNIX)
    server.bind(str(root / "s"))
    server.close()
    assert rows(world) == [Seen("s", Kind.OTHER, None)]
    assert read(world, "s") is ReadProblem.NOT_A_FILE


@pytest.mark.needs_root
def test_a_device_is_never_opened(world: World, root: Path) -> None:
    # 1:3 would be /dev/null; this one has no driver, so an open of it could only fail.
    os.mknod(root / "d", stat.S_IFCHR | 0o600, os.makedev(250, 250))
    assert rows(world) == [Seen("d", Kind.OTHER, None)]
    assert read(world, "d") is ReadProblem.NOT_A_FILE


def test_hard_links_are_ordinary_files(world: World, root: Path) -> None:
    world.user.write("f", b"shared")
    (root / "g").hardlink_to(root / "f")
    assert {row.path for row in rows(world) if isinstance(row, Seen)} == {"f", "g"}
    world.stage("n", b"new")
    assert world.exchange("n", "f") is None
    assert world.user.files() == {"f": b"new", "g": b"shared"}


# --- scale ------------------------------------------------------------------------------------


def test_twenty_thousand_files_are_scanned(world: World, root: Path) -> None:
    """Two thousand inodes with ten names each: quicker to make, the same to scan."""
    (root / "d0").mkdir()
    for number in range(2_000):
        (root / "d0" / f"f{number}").touch()
    for directory in range(1, 10):
        (root / f"d{directory}").mkdir()
        for number in range(2_000):
            (root / f"d{directory}" / f"f{number}").hardlink_to(root / "d0" / f"f{number}")
    seen = {row.path for row in rows(world) if isinstance(row, Seen) and row.stamp}
    assert len(seen) == 20_000


def test_a_tree_deeper_than_any_path_may_be_long_is_scanned(resolving: World, root: Path) -> None:
    depth, name = 250, "d" * 20
    at = os.open(root, os.O_RDONLY)
    for _ in range(depth):
        os.mkdir(name, dir_fd=at)
        below = os.open(name, os.O_RDONLY, dir_fd=at)
        os.close(at)
        at = below
    os.close(os.open("f", os.O_CREAT | os.O_WRONLY, dir_fd=at))
    os.close(at)
    path = f"{name}/" * depth + "f"
    assert [row.path for row in rows(resolving) if isinstance(row, Seen)] == [path]
    assert isinstance(read(resolving, path), FileRead)
    resolving.stage("n", b"new")
    assert resolving.exchange("n", path) is None
    assert resolving.place("n", f"{name}/" * depth + "new/g") is None
    assert len(rows(resolving)) == 2


# --- permissions ------------------------------------------------------------------------------


@pytest.fixture
def shut(root: Path, disk: DiskUser) -> Iterator[Path]:
    """A directory with a file, which loses all rights; the rest of the cache is everybody's."""
    disk.write("shut/f", b"")
    disk.write("open/f", b"")
    for place in (root, root / "open", *root.glob(".swampd/**/")):
        place.chmod(0o777)
    place = root / "shut"
    place.chmod(0)
    yield place
    place.chmod(0o755)


def test_a_directory_without_rights_is_unreadable_and_no_delete(world: World, shut: Path) -> None:
    assert shut.exists()
    world.stage("n", b"")
    with as_nobody():
        found = {row.path: type(row) for row in rows(world)}
        assert found == {"shut": Unreadable, "open/f": Seen}
        assert [type(row) for row in rows(world, "shut")] == [Unreadable]
        assert [type(row) for row in rows(world, "shut/below")] == [Unreadable]
        with pytest.raises(PermissionError):
            world.tree.children("shut")
        with pytest.raises(PermissionError):
            world.tree.stat("shut/f")
        assert read(world, "shut/f") is ReadProblem.UNREADABLE
        assert world.place("n", "shut/g") is PlaceProblem.BLOCKED
        assert world.exchange("n", "shut/f") is PlaceProblem.BLOCKED
        assert world.tree.move_to_tmp(CachePath("shut/f"), "m") is PlaceProblem.BLOCKED


def test_a_directory_that_can_be_listed_and_not_entered_is_no_delete(
    world: World, shut: Path
) -> None:
    shut.chmod(0o444)
    with as_nobody():
        assert {row.path: type(row) for row in rows(world)} == {
            "shut/f": Unreadable,
            "open/f": Seen,
        }


def test_a_directory_that_can_be_entered_and_not_listed_hands_out_what_is_asked_for(
    world: World, shut: Path
) -> None:
    shut.chmod(0o111)
    with as_nobody():
        assert {row.path: type(row) for row in rows(world)} == {
            "shut": Unreadable,
            "open/f": Seen,
        }
        assert isinstance(read(world, "shut/f"), FileRead)
        assert world.tree.stat("shut/f") is not None


def test_a_file_without_rights_is_seen_and_not_read(world: World, shut: Path) -> None:
    shut.chmod(0o755)
    (shut / "f").chmod(0)
    with as_nobody():
        assert {type(row) for row in rows(world)} == {Seen}
        assert read(world, "shut/f") is ReadProblem.UNREADABLE


def test_files_and_directories_obey_the_umask_but_for_the_owner_s_execute_bit(
    world: World, root: Path
) -> None:
    before = os.umask(0o137)
    try:
        world.stage("n", b"")
        world.stage("x", b"", x=True)
    finally:
        os.umask(before)
    world.place("n", "a/n")
    world.place("x", "a/x")
    modes = {path: stat.S_IMODE((root / path).stat().st_mode) for path in ("a", "a/n", "a/x")}
    assert modes == {"a": 0o777 & ~before, "a/n": 0o640, "a/x": 0o740}


# --- reading while it changes -----------------------------------------------------------------


def replaced(place: Path) -> None:
    other = place.with_name("other")
    other.write_bytes(b"data")
    other.rename(place)


@pytest.mark.parametrize(
    "act",
    [
        pytest.param(lambda place: place.write_bytes(b"longer than before"), id="grown"),
        pytest.param(lambda place: place.write_bytes(b""), id="truncated"),
        pytest.param(lambda place: place.write_bytes(b"swap"), id="same length"),
        pytest.param(lambda place: place.unlink(), id="removed"),
        pytest.param(lambda place: place.chmod(0o755), id="made executable"),
        pytest.param(lambda place: place.chmod(0o600), id="other rights"),
        pytest.param(lambda place: place.rename(place.with_name("g")), id="renamed"),
        pytest.param(replaced, id="replaced"),
    ],
)
@pytest.mark.parametrize("moment", ["read", "fstat"])
def test_a_file_that_changes_while_it_is_read_is_busy(
    world: World,
    root: Path,
    monkeypatch: pytest.MonkeyPatch,
    act: Callable[[Path], None],
    moment: str,
) -> None:
    world.user.write("f", b"data")
    # Far from now, so that no change can fall into the same tick of the clock.
    os.utime(root / "f", ns=(10**18, 10**18))
    before_call(monkeypatch, moment, lambda: act(root / "f"))
    assert read(world, "f") is ReadProblem.BUSY


def test_a_file_that_is_removed_after_the_last_byte_is_busy(
    world: World, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.user.write("f", b"data")
    real = os.fstat
    looks = 0

    def last_look(descriptor: int) -> os.stat_result:
        nonlocal looks
        found = real(descriptor)
        looks += 1
        if looks == 2:
            (root / "f").unlink()
        return found

    monkeypatch.setattr(os, "fstat", last_look)
    assert read(world, "f") is ReadProblem.BUSY


def test_a_file_that_is_shorter_than_it_says_is_unreadable(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.user.write("f", b"data")
    monkeypatch.setattr(os, "read", lambda *_: b"")
    assert read(world, "f") is ReadProblem.UNREADABLE


def test_an_ill_disk_makes_a_file_unreadable_and_a_lack_of_descriptors_does_not(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.user.write("f", b"data")

    def fail(code: int) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, "read", lambda *_: fail(errno.EIO))
    assert read(world, "f") is ReadProblem.UNREADABLE
    monkeypatch.setattr(os, "read", lambda *_: fail(errno.EMFILE))
    with pytest.raises(OSError, match="Too many open files"):
        read(world, "f")


def test_a_large_file_is_sealed(world: World, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "LARGE", 4)
    world.user.write("f", b"12345")
    answer = read(world, "f")
    assert isinstance(answer, FileRead)
    assert isinstance(answer.body, SealedFile)
    assert (answer.body.size, answer.body.sha256) == (5, answer.sha256)
    sealed = root.joinpath(answer.body.location)
    world.user.edit("f", b"other")
    assert sealed.read_bytes() == b"12345"
    assert sealed.parent == root / ".swampd" / "tmp"
    world.tree.drop_tmp(sealed.name)
    assert world.user.private_files() == {}
    assert isinstance(read(world, "f", keep=False), FileRead)
    assert world.user.private_files() == {}


def test_a_sealed_copy_of_a_file_that_changes_is_removed(
    world: World, disk: DiskUser, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "LARGE", 4)
    world.user.write("f", b"12345")
    before_call(monkeypatch, "read", lambda: disk.edit("f", b"123"))
    assert read(world, "f") is ReadProblem.BUSY
    assert world.user.private_files() == {}


def test_a_real_large_file_goes_through_in_pieces(world: World, root: Path) -> None:
    with (root / "f").open("wb") as file:
        file.truncate(reading.LARGE + 1)
    answer = read(world, "f")
    assert isinstance(answer, FileRead)
    assert isinstance(answer.body, SealedFile)
    assert root.joinpath(answer.body.location).stat().st_size == reading.LARGE + 1


# --- placing while it changes -----------------------------------------------------------------


def test_a_directory_that_slips_in_before_an_exchange_comes_out_and_goes_back(
    world: World, disk: DiskUser, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.user.write("f", b"old")
    world.stage("n", b"new")
    real = renaming.refuse_directory

    def slip_in(directory: int, name: bytes) -> None:
        real(directory, name)
        disk.delete("f")
        disk.write("f/user", b"the user's")

    monkeypatch.setattr(renaming, "refuse_directory", slip_in)
    assert world.exchange("n", "f") is None
    monkeypatch.undo()
    assert world.tree.stat_tmp("n") == Seen("tmp/n", Kind.DIRECTORY, None)
    world.tree.clear_tmp([])
    with pytest.raises(OSError, match="not empty"):
        world.tree.drop_tmp("n")
    assert world.exchange("n", "f") is None
    assert world.user.files() == {"f/user": b"the user's"}
    assert world.user.private_files() == {".swampd/tmp/n": b"new"}


def test_an_empty_directory_that_came_out_can_be_dropped(world: World, root: Path) -> None:
    (root / ".swampd" / "tmp" / "n").mkdir()
    world.tree.drop_tmp("n")
    assert world.tree.stat_tmp("n") is None


def test_parents_that_vanish_are_made_again(
    world: World, disk: DiskUser, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.stage("n", b"")
    real = syscalls.rename
    vanishing = iter(range(2))

    def vanish(*arguments: int | bytes) -> None:
        if next(vanishing, None) is not None:
            disk.delete("a")
        real(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(syscalls, "rename", vanish)
    assert world.place("n", "a/b/f") is None
    assert world.user.files() == {"a/b/f": b""}


def test_parents_that_vanish_each_time_block(
    world: World, disk: DiskUser, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.stage("n", b"")
    real = syscalls.rename

    def vanish(*arguments: int | bytes) -> None:
        disk.delete("a")
        real(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(syscalls, "rename", vanish)
    assert world.place("n", "a/f") is PlaceProblem.BLOCKED
    assert world.user.private_files() == {".swampd/tmp/n": b""}


def test_what_says_nothing_about_the_path_is_raised(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.stage("n", b"")

    def fail(*_: object) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(syscalls, "rename", fail)
    with pytest.raises(OSError, match="Input/output"):
        world.place("n", "f")


# --- the private area -------------------------------------------------------------------------


def test_a_marker_that_is_no_regular_file_is_none(world: World, root: Path) -> None:
    place = root / ".swampd" / "cache-id"
    place.symlink_to("/etc/hostname")
    assert world.tree.marker() is None
    world.tree.write_marker(b"ours")
    assert world.tree.marker() == b"ours"
    place.unlink()
    os.mkfifo(place)
    assert world.tree.marker() is None
    place.unlink()
    place.mkdir()
    assert world.tree.marker() is None
    with pytest.raises(IsADirectoryError):
        world.tree.write_marker(b"ours")
    assert world.user.private_files() == {}


def test_a_marker_that_cannot_be_read_is_an_error(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.tree.write_marker(b"ours")

    def fail(*_: object) -> bytes:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(os, "read", fail)
    with pytest.raises(OSError, match="Input/output"):
        world.tree.marker()


def test_conflicts_that_is_a_file_is_an_error_and_no_endless_search(
    world: World, root: Path
) -> None:
    world.stage("n", b"")
    (root / ".swampd" / "conflicts").rmdir()
    (root / ".swampd" / "conflicts").write_bytes(b"")
    with pytest.raises(NotADirectoryError):
        world.tree.tmp_to_conflicts("n", CachePath("f"))
    assert world.tree.stat_tmp("n") is not None


@pytest.mark.parametrize("mtime_ns", [-(2**70), -1_500_000_000, 0, 10**18 + 1, 2**70])
def test_any_mtime_is_taken_as_near_as_can_be(world: World, mtime_ns: int) -> None:
    world.stage("n", b"")
    stamp = world.tree.finish_tmp("n", mtime_ns)
    if abs(mtime_ns) < 2**61:
        assert stamp.mtime_ns == mtime_ns


def test_without_syncfs_everything_is_synced_and_a_failed_sync_is_raised(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced = []

    def fail(code: int) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, "sync", lambda: synced.append(True))
    monkeypatch.setattr(syscalls, "sync_filesystem", lambda _: fail(errno.ENOSYS))
    world.tree.sync()
    assert synced == [True]
    monkeypatch.setattr(syscalls, "sync_filesystem", lambda _: fail(errno.EIO))
    with pytest.raises(OSError, match="Input/output"):
        world.tree.sync()


def test_partial_writes_are_completed(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.write
    monkeypatch.setattr(os, "write", lambda descriptor, data: real(descriptor, data[:3]))
    world.stage("n", b"0123456789")
    assert world.user.private_files() == {".swampd/tmp/n": b"0123456789"}


def test_a_sealed_copy_that_has_no_room_is_an_error(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "LARGE", 4)
    world.user.write("f", b"12345")

    def fail(*_: object) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "write", fail)
    with pytest.raises(OSError, match="No space"):
        read(world, "f")
    assert world.user.private_files() == {}


def test_a_conflict_copy_survives_that_another_thread_prunes_its_parents(
    world: World, disk: DiskUser, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.stage("n", b"kept")
    real = syscalls.rename

    def prune(*arguments: int | bytes) -> None:
        monkeypatch.setattr(syscalls, "rename", real)
        disk.delete(".swampd/conflicts/a")
        real(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(syscalls, "rename", prune)
    assert world.tree.tmp_to_conflicts("n", CachePath("a/f")) == ".swampd/conflicts/a/f"


def test_a_conflict_copy_whose_parents_vanish_each_time_is_an_error(
    world: World, disk: DiskUser, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.stage("n", b"kept")
    real = syscalls.rename

    def prune(*arguments: int | bytes) -> None:
        disk.delete(".swampd/conflicts/a")
        real(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(syscalls, "rename", prune)
    with pytest.raises(FileNotFoundError):
        world.tree.tmp_to_conflicts("n", CachePath("a/f"))
    assert world.user.private_files() == {".swampd/tmp/n": b"kept"}


def test_a_conflict_copy_that_cannot_be_kept_is_an_error_and_stays_where_it_was(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.stage("n", b"kept")

    def fail(*_: object) -> None:
        raise OSError(errno.EDQUOT, os.strerror(errno.EDQUOT))

    monkeypatch.setattr(syscalls, "rename", fail)
    with pytest.raises(OSError, match="quota"):
        world.tree.tmp_to_conflicts("n", CachePath("a/f"))
    assert world.user.private_files() == {".swampd/tmp/n": b"kept"}


def test_an_interrupted_open_is_done_again(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.user.write("a/f", b"x")
    real = syscalls._openat2
    calls = []

    def interrupted(*arguments: object) -> int:
        calls.append(arguments)
        if len(calls) == 1:
            ctypes.set_errno(errno.EINTR)
            return -1
        return real(*arguments)

    monkeypatch.setattr(syscalls, "_openat2", interrupted)
    assert isinstance(read(world, "a/f"), FileRead)
    assert calls[0] == calls[1]


def test_a_libc_without_syncfs_says_so(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    synced = []
    monkeypatch.setattr(os, "sync", lambda: synced.append(True))
    monkeypatch.setattr(syscalls, "_libc", object())
    world.tree.sync()
    assert synced == [True]


def test_children_that_cannot_be_looked_at_are_an_error(world: World, shut: Path) -> None:
    shut.chmod(0o666)
    with as_nobody(), pytest.raises(PermissionError):
        world.tree.children("shut")


def test_names_of_the_private_area_are_flat(world: World) -> None:
    for name in ("../x", "a/b", "..", ""):
        with pytest.raises(OSError, match="not a file name"):
            world.stage(name, b"")
    assert private.TMP == "tmp"
