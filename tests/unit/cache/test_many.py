"""Many files at a time: what a `FileTree` keeps when a directory is opened once for several."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from swampd.cache import reading
from swampd.cache.tree import LocalTree
from swampd.domain.values import CachePath
from swampd.ports import FileRead, Kind, ReadProblem, Scratch, Seen
from tests.sim.tree import SimTree
from tests.unit.cache.conftest import DiskUser, User, World, sim_tree

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


@pytest.fixture(params=["local", "sim"])
def world(request: pytest.FixtureRequest, root: Path) -> Iterator[World]:
    if request.param == "sim":
        sim = sim_tree()
        yield World(sim, sim)
        return
    with LocalTree(root) as tree:
        yield World(tree, DiskUser(root))


def before_reading(
    world: World, monkeypatch: pytest.MonkeyPatch, path: str, act: Callable[[User], None]
) -> None:
    """The user acts once, just before the file of this path is opened."""
    done: list[bool] = []

    def maybe(name: str) -> None:
        if name == path.rpartition("/")[2] and not done:
            done.append(True)
            act(world.user)

    if isinstance(world.tree, SimTree):
        world.tree.before_step = lambda step: maybe(step.removeprefix("open ").rpartition("/")[2])
        return
    real = reading.read_whole

    def read_whole(directory: int, name: bytes, **how: object) -> object:
        maybe(name.decode())
        return real(directory, name, **how)  # type: ignore[arg-type]

    monkeypatch.setattr("swampd.cache.tree.read_whole", read_whole)


def read_each(world: World, *paths: str, keep: bool = True) -> list[FileRead | ReadProblem]:
    return list(world.tree.read_each(map(CachePath, paths), keep=keep))


def bodies(world: World, *paths: str) -> list[object]:
    reads = read_each(world, *paths)
    return [read.body if isinstance(read, FileRead) else read for read in reads]


# --- reading ----------------------------------------------------------------------------------


@pytest.mark.parametrize("keep", [True, False])
def test_each_read_is_what_a_single_one_gives(world: World, keep: bool) -> None:  # noqa: FBT001
    names = [f"d/{number:03}" for number in range(100)]
    for name in (*names, "e/f", "top", "d/x/deep"):
        world.user.write(name, name.encode())
    world.user.special("d/link", Kind.SYMLINK)
    world.user.mkdir("d/inner")
    paths = [*names, "d/link", "d/inner", "d/missing", "e/f", "gone/a", "gone/b", "top", "d/x/deep"]
    single = [world.tree.read(CachePath(path), keep=keep) for path in paths]
    assert read_each(world, *paths, keep=keep) == single


def test_nothing_is_read_of_nothing(world: World) -> None:
    assert read_each(world) == []


def test_a_directory_that_is_moved_while_it_is_read_says_nothing_of_its_old_path(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.user.write("d/a", b"a")
    world.user.write("d/b", b"b")

    def move(user: User) -> None:
        user.rename("d", "elsewhere")
        user.edit("elsewhere/b", b"never at d/b")

    before_reading(world, monkeypatch, "d/b", move)
    assert bodies(world, "d/a", "d/b") == [ReadProblem.GONE, ReadProblem.GONE]


def test_a_directory_in_the_place_of_one_that_is_read_is_read_instead(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.user.write("d/a", b"a")
    world.user.write("d/b", b"b")

    def replace(user: User) -> None:
        user.rename("d", "elsewhere")
        user.write("d/a", b"another a")
        user.write("d/b", b"another b")

    before_reading(world, monkeypatch, "d/b", replace)
    assert bodies(world, "d/a", "d/b") == [b"another a", b"another b"]


def test_one_that_is_removed_meanwhile_is_gone_and_the_others_are_read(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in "abc":
        world.user.write(f"d/{name}", name.encode())
    before_reading(world, monkeypatch, "d/b", lambda user: user.delete("d/b"))
    assert bodies(world, "d/a", "d/b", "d/c") == [b"a", ReadProblem.GONE, b"c"]


# --- scratch files ----------------------------------------------------------------------------


def scratch(number: int, *, x: bool = False) -> Scratch:
    return Scratch(f"n{number}", b"%d" % number, x, 1_000_000_000 + number * 1_000_000)


def test_scratch_files_are_whole_dated_and_stamped(world: World) -> None:
    files = [scratch(number, x=number % 2 == 1) for number in range(40)]
    stamps = list(world.tree.write_each_tmp(files))
    for file, stamp in zip(files, stamps, strict=True):
        assert (stamp.size, stamp.mtime_ns, stamp.x) == (len(file.data), file.mtime_ns, file.x)
        assert world.tree.stat_tmp(file.name) == Seen(f"tmp/{file.name}", Kind.FILE, stamp)
    assert world.user.private_files() == {f".swampd/tmp/{file.name}": file.data for file in files}


def test_scratch_files_take_the_place_of_leftovers(world: World) -> None:
    world.stage("n1", b"old and long")
    list(world.tree.write_each_tmp([scratch(0), scratch(1)]))
    assert world.user.private_files() == {".swampd/tmp/n0": b"0", ".swampd/tmp/n1": b"1"}


def test_the_area_is_made_again_when_a_user_removes_it_between_two_scratch_files(
    world: World,
) -> None:
    stamps = world.tree.write_each_tmp([scratch(0), scratch(1), scratch(2)])
    next(stamps)
    world.user.delete(".swampd")
    assert [stamp.mtime_ns for stamp in stamps] == [scratch(1).mtime_ns, scratch(2).mtime_ns]
    assert world.user.private_files() == {".swampd/tmp/n1": b"1", ".swampd/tmp/n2": b"2"}
