"""Threads that make directories and threads that remove the empty ones, in one tree."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest

from swampd.cache import syscalls
from swampd.cache.tree import LocalTree
from swampd.domain.values import CachePath
from tests.unit.cache.conftest import DiskUser, World
from tests.unit.cache.forcing import without_renameat2

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from swampd.ports import PlaceProblem

_HEAD_START_S = 0.05
"""So long a thread that is free to go on gets; one that has to wait for us takes all of it."""


@pytest.fixture
def world(local: LocalTree, disk: DiskUser) -> World:
    return World(local, disk)


@pytest.fixture
def before_each_rename(
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Callable[[Callable[[], None]], None]]:
    """Lets another thread work, as far as it can, when the parents are made, before the rename."""
    real = syscalls.rename
    threads: list[threading.Thread] = []

    def let(work: Callable[[], None]) -> None:
        def rename(*arguments: int | bytes) -> None:
            other = threading.Thread(target=work)
            threads.append(other)
            other.start()
            other.join(_HEAD_START_S)
            real(*arguments)  # type: ignore[arg-type]

        monkeypatch.setattr(syscalls, "rename", rename)

    yield let
    for thread in threads:
        thread.join()


def test_a_placement_is_not_undone_by_a_thread_that_removes_empty_parents(
    world: World, before_each_rename: Callable[[Callable[[], None]], None]
) -> None:
    world.stage("n", b"placed")
    before_each_rename(lambda: world.tree.prune_empty(CachePath("a/b/gone")))
    assert world.place("n", "a/b/f") is None
    assert world.user.files() == {"a/b/f": b"placed"}


def test_a_conflict_copy_is_kept_while_a_thread_drops_the_last_one_beside_it(
    world: World, before_each_rename: Callable[[Callable[[], None]], None]
) -> None:
    world.stage("n", b"kept")
    before_each_rename(lambda: world.tree.drop_conflict(".swampd/conflicts/a/b/gone"))
    assert world.tree.tmp_to_conflicts("n", CachePath("a/b/f")) == ".swampd/conflicts/a/b/f"


def test_an_exchange_in_steps_keeps_its_directory_although_it_is_empty_between_them(
    root: Path, disk: DiskUser, before_each_rename: Callable[[Callable[[], None]], None]
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        without_renameat2(patch, only=syscalls.RENAME_EXCHANGE)
        tree = LocalTree(root)
    with tree:
        world = World(tree, disk)
        world.stage("n", b"new")
        world.user.write("a/b/f", b"old")
        before_each_rename(lambda: tree.prune_empty(CachePath("a/b/gone")))
        assert world.exchange("n", "a/b/f") is None
    assert world.user.files() == {"a/b/f": b"new"}
    assert world.user.private_files() == {".swampd/tmp/n": b"old"}


def test_threads_that_make_and_prune_the_same_directories_lose_nothing(world: World) -> None:
    workers, rounds = 4, 25
    start = threading.Barrier(workers)
    answers: list[PlaceProblem | None] = []

    def work(worker: int) -> None:
        start.wait()
        for number in range(rounds):
            name, path = f"n{worker}-{number}", f"a/b/c/f{worker}"
            world.stage(name, b"")
            answers.append(world.place(name, path))
            answers.append(world.tree.move_to_tmp(CachePath(path), name))
            world.tree.prune_empty(CachePath(path))
            world.tree.tmp_to_conflicts(name, CachePath("a/f"))

    threads = [threading.Thread(target=work, args=(worker,)) for worker in range(workers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(answers) == {None}
    assert world.user.files() == {}
    assert len(world.user.private_files()) == workers * rounds
