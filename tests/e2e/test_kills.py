"""kill -9 of the daemon at many moments of a push and of a pull: nothing is lost, little is resent."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.e2e.machines import Machine, finished, tree, until
from tests.workspace.test_two_machines import FILES, installed_files

if TYPE_CHECKING:
    from pathlib import Path

    from tests.e2e.conftest import Pair

MOMENTS = 8
IN_FLIGHT = 64
"""A batch of a push: what is sent again after a kill is at most this."""


def fill(machine: Machine) -> None:
    """2,000 real files."""
    cache = machine.cache
    for path, source in installed_files():
        target = cache / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(source.read_bytes())


def arrived(root: Path) -> int:
    """How many files a folder has, the daemon's own aside."""
    own = ("_control", ".swampd")
    return sum(1 for p in (root / "data").rglob("*") if p.is_file() and own[1] not in p.parts)


def inodes(root: Path) -> dict[str, int]:
    """Which file is at each plain key: another inode means that it was sent again."""
    return {
        str(p.relative_to(root)): p.stat().st_ino
        for p in (root / "data").rglob("*")
        if p.is_file()
    }


@pytest.mark.timeout(280)
def test_a_push_is_killed_at_many_moments(pair: Pair) -> None:
    a, b, store = pair
    fill(a)
    resent = 0
    for moment in range(1, MOMENTS + 1):
        wanted = moment * FILES // (MOMENTS + 1)
        pushing = a.start("push")
        until(
            lambda wanted=wanted, pushing=pushing: (
                pushing.poll() is not None or arrived(store) >= wanted
            ),
            f"{wanted} files are in the store",
            60,
        )
        before = inodes(store)
        a.kill()
        finished(pushing)
        after = inodes(store)
        resent += sum(after.get(path) != inode for path, inode in before.items())
    a.ok("push")
    b.ok("pull")
    assert tree(a.cache) == tree(b.cache)
    assert len(tree(b.cache)) == FILES
    assert {k: v[0] for k, v in tree(b.cache).items()} == {k: v[0] for k, v in tree(store).items()}
    assert resent <= MOMENTS * IN_FLIGHT


@pytest.mark.timeout(280)
def test_a_pull_is_killed_at_many_moments(pair: Pair) -> None:
    a, b, _ = pair
    fill(a)
    a.ok("push")
    cache = b.cache
    for moment in range(1, MOMENTS + 1):
        wanted = moment * FILES // (MOMENTS + 1)
        pulling = b.start("pull")
        until(
            lambda wanted=wanted, pulling=pulling: (
                pulling.poll() is not None or arrived(cache) >= wanted
            ),
            f"{wanted} files are in the cache",
            60,
        )
        b.kill()
        finished(pulling)
    b.ok("pull")
    assert tree(a.cache) == tree(b.cache)
    assert not b.ok("conflicts", "list", "--json").json["conflicts"]
