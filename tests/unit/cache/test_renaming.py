"""Renames on file systems that lack a flag or hard links, and what a crash leaves there."""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING, Any

import pytest

from swampd.cache import syscalls
from swampd.cache.tree import LocalTree
from swampd.domain.values import CachePath
from swampd.ports import PlaceProblem
from tests.unit.cache.conftest import DiskUser, World, sim_tree
from tests.unit.cache.forcing import without_links, without_renameat2

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


class Crash(BaseException):
    """The process dies here."""


def no_flags(monkeypatch: pytest.MonkeyPatch) -> None:
    without_renameat2(monkeypatch)


def no_exchange(monkeypatch: pytest.MonkeyPatch) -> None:
    without_renameat2(monkeypatch, only=syscalls.RENAME_EXCHANGE)


def no_flags_and_no_links(monkeypatch: pytest.MonkeyPatch) -> None:
    without_renameat2(monkeypatch)
    without_links(monkeypatch)


POOR = [no_flags, no_exchange, no_flags_and_no_links]
MOVES = ("link", "unlink", "rename")


@pytest.fixture(params=POOR, ids=lambda poor: poor.__name__)
def world(
    request: pytest.FixtureRequest, root: Path, disk: DiskUser, monkeypatch: pytest.MonkeyPatch
) -> Iterator[World]:
    request.param(monkeypatch)
    with LocalTree(root) as tree:
        yield World(tree, disk)


def test_this_file_system_has_both_flags(local: LocalTree) -> None:
    assert local.exchange_supported


def test_a_missing_exchange_is_shown_and_the_trial_leaves_nothing(world: World) -> None:
    assert not world.tree.exchange_supported
    assert world.user.private_files() == {}


def test_each_operation_keeps_its_word(world: World) -> None:
    world.user.write("f", b"old")
    world.stage("n", b"new")
    assert world.place("n", "f") is PlaceProblem.OCCUPIED
    assert world.exchange("n", "f") is None
    assert world.user.files() == {"f": b"new"}
    world.tree.tmp_to_trash("n")
    assert world.tree.move_to_tmp(CachePath("f"), "m") is None
    assert world.place("m", "a/f") is None
    assert world.user.files() == {"a/f": b"new"}
    assert world.user.private_files() == {".swampd/trash/n": b"old"}


def test_a_user_who_takes_the_name_during_an_exchange_keeps_it(
    root: Path, disk: DiskUser, monkeypatch: pytest.MonkeyPatch
) -> None:
    without_renameat2(monkeypatch)
    disk.write("f", b"old")
    real = os.link

    def link(source: bytes, target: bytes, **named: Any) -> None:
        if target == b"f":
            disk.write("f", b"saved just now")
        real(source, target, **named)

    with LocalTree(root) as tree:
        world = World(tree, disk)
        world.stage("n", b"new")
        monkeypatch.setattr(os, "link", link)
        assert world.exchange("n", "f") is PlaceProblem.OCCUPIED
    assert disk.files() == {"f": b"saved just now"}
    assert disk.private_files() == {
        ".swampd/conflicts/f": b"old",
        ".swampd/tmp/n": b"new",
    }


def test_a_user_who_takes_the_name_during_an_exchange_keeps_it_in_memory_too() -> None:
    sim = sim_tree(exchange_supported=False)
    world = World(sim, sim)
    sim.write("f", b"old")
    world.stage("n", b"new")

    def save(step: str) -> None:
        if step == "link f":
            sim.write("f", b"saved just now")

    sim.before_step = save
    assert world.exchange("n", "f") is PlaceProblem.OCCUPIED
    assert sim.files() == {"f": b"saved just now"}
    assert sim.private_files() == {".swampd/conflicts/f": b"old", ".swampd/tmp/n": b"new"}


def test_a_step_that_fails_puts_the_old_file_back(
    root: Path, disk: DiskUser, monkeypatch: pytest.MonkeyPatch
) -> None:
    without_renameat2(monkeypatch)
    disk.write("f", b"old")
    real = os.link

    def link(source: bytes, target: bytes, **named: Any) -> None:
        if source == b"n":
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        real(source, target, **named)

    with LocalTree(root) as tree:
        world = World(tree, disk)
        world.stage("n", b"new")
        monkeypatch.setattr(os, "link", link)
        assert world.exchange("n", "f") is PlaceProblem.NO_SPACE
    assert disk.files() == {"f": b"old"}
    assert disk.private_files() == {".swampd/tmp/n": b"new"}


def crashing_at(monkeypatch: pytest.MonkeyPatch, moment: int) -> Callable[[], bool]:
    """Die just before the `moment`th link, unlink or rename; tells whether that happened."""
    made = 0
    crashed = False

    def dying(real: Callable[..., None]) -> Callable[..., None]:
        def call(*arguments: object, **named: object) -> None:
            nonlocal made, crashed
            if made == moment:
                crashed = True
                raise Crash
            made += 1
            real(*arguments, **named)

        return call

    for function in MOVES:
        monkeypatch.setattr(os, function, dying(getattr(os, function)))
    return lambda: crashed


@pytest.mark.parametrize("moment", range(5))
def test_an_exchange_that_was_cut_off_is_completed_by_the_same_call(
    root: Path, disk: DiskUser, monkeypatch: pytest.MonkeyPatch, moment: int
) -> None:
    without_renameat2(monkeypatch)
    disk.write("a/f", b"old")
    with LocalTree(root) as tree:
        world = World(tree, disk)
        world.stage("n", b"new")
        with monkeypatch.context() as dying:
            crashing_at(dying, moment)
            with pytest.raises(Crash):
                world.exchange("n", "a/f")
    every_byte = {**disk.files(), **disk.private_files()}
    assert set(every_byte.values()) == {b"old", b"new"}
    with LocalTree(root) as tree:
        tree.clear_tmp(["n"])
        assert tree.exchange("n", CachePath("a/f")) is None
    assert disk.files() == {"a/f": b"new"}
    assert disk.private_files() == {".swampd/tmp/n": b"old"}


@pytest.mark.parametrize("moment", range(4))
def test_an_exchange_that_was_cut_off_is_completed_in_memory_too(moment: int) -> None:
    sim = sim_tree(exchange_supported=False)
    world = World(sim, sim)
    sim.write("a/f", b"old")
    world.stage("n", b"new")
    steps: list[str] = []

    def die(step: str) -> None:
        if len(steps) == moment:
            raise Crash
        steps.append(step)

    sim.before_step = die
    with pytest.raises(Crash):
        world.exchange("n", "a/f")
    sim.before_step = None
    sim.clear_tmp(["n"])
    assert world.exchange("n", "a/f") is None
    assert sim.files() == {"a/f": b"new"}
    assert sim.private_files() == {".swampd/tmp/n": b"old"}


def test_a_placement_that_was_cut_off_between_link_and_unlink_is_completed_by_the_same_call(
    root: Path, disk: DiskUser, monkeypatch: pytest.MonkeyPatch
) -> None:
    without_renameat2(monkeypatch)
    with LocalTree(root) as tree:
        world = World(tree, disk)
        world.stage("n", b"new")
        with monkeypatch.context() as dying:
            crashing_at(dying, 1)
            with pytest.raises(Crash):
                world.place("n", "f")
        assert disk.files() == {"f": b"new"}
        assert world.place("n", "f") is None
    assert disk.files() == {"f": b"new"}
    assert disk.private_files() == {}


def test_a_full_disk_at_the_start_gives_the_careful_answer(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    LocalTree(root).close()
    real = os.open

    def full(path: bytes | str, flags: int, *arguments: int, **named: int) -> int:
        if flags & os.O_CREAT:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return real(path, flags, *arguments, **named)

    monkeypatch.setattr(os, "open", full)
    with LocalTree(root) as tree:
        assert not tree.exchange_supported


def test_a_private_area_that_cannot_be_written_is_an_error(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    LocalTree(root).close()
    real = os.open

    def read_only(path: bytes | str, flags: int, *arguments: int, **named: int) -> int:
        if flags & os.O_CREAT:
            raise OSError(errno.EROFS, os.strerror(errno.EROFS))
        return real(path, flags, *arguments, **named)

    monkeypatch.setattr(os, "open", read_only)
    with pytest.raises(OSError, match="Read-only"):
        LocalTree(root)


def test_a_libc_without_the_function_uses_the_number(
    root: Path, disk: DiskUser, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = syscalls._libc

    class Old:
        def __getitem__(self, name: str) -> object:
            return real[name]

    disk.write("f", b"old")
    monkeypatch.setattr(syscalls, "_libc", Old())
    monkeypatch.setattr(syscalls, "_renameat2", syscalls._prepared_renameat2())
    with LocalTree(root) as tree:
        world = World(tree, disk)
        assert tree.exchange_supported
        world.stage("n", b"new")
        assert world.exchange("n", "f") is None
        tree.sync()
    monkeypatch.setattr(syscalls, "_RENAMEAT2", {})
    monkeypatch.setattr(syscalls, "_renameat2", syscalls._prepared_renameat2())
    with LocalTree(root) as tree:
        assert not tree.exchange_supported
