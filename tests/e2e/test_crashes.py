"""kill -9 of the daemon in the middle of its work: it goes on from where it was."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from tests.e2e.machines import tree, until
from tests.e2e.test_transfer import FILES, copy_packages

if TYPE_CHECKING:
    import subprocess
    from pathlib import Path

    from tests.e2e.conftest import Pair

MOMENTS = 8
IN_FLIGHT = 64
"""A daemon works on fewer files than this at once."""


def inodes(root: Path) -> dict[str, int]:
    """The files below a directory, control data and the daemon's own aside."""
    found: dict[str, int] = {}
    pending = [root]
    while pending:
        for path in pending.pop().iterdir():
            if path.name in {"_control", ".swampd"}:
                continue
            if path.is_dir():
                pending.append(path)
            else:
                found[str(path.relative_to(root))] = path.stat().st_ino
    return found


def count(root: Path) -> int:
    """How many files `inodes` would find; quick, since it is asked while the daemon works."""
    found, pending = 0, [str(root)]
    while pending:
        with os.scandir(pending.pop()) as entries:
            for entry in entries:
                if entry.name in {"_control", ".swampd"}:
                    continue
                if entry.is_dir(follow_symlinks=False):
                    pending.append(entry.path)
                else:
                    found += 1
    return found


def arrive(root: Path, goal: int, command: subprocess.Popen[str]) -> None:
    """Wait until so many files are there, or the command has ended."""
    until(
        lambda: command.poll() is not None or count(root) >= goal,
        f"{goal} files are in {root}",
        60,
    )


@pytest.mark.timeout(400)
def test_a_push_that_is_killed_again_and_again_converges(pair: Pair) -> None:
    a, b, store = pair
    copy_packages(a.cache / "data" / "packages", FILES)
    sent_again = 0
    for moment in range(MOMENTS):
        before = inodes(store)
        goal = min(FILES, FILES * (moment + 1) // MOMENTS)
        pushing = a.start("push")
        arrive(store, goal, pushing)
        a.kill()
        pushing.communicate(timeout=30)
        now = inodes(store)
        sent_again += sum(now.get(name) != inode for name, inode in before.items())
    before = inodes(store)
    a.ok("push")
    now = inodes(store)
    sent_again += sum(now.get(name) != inode for name, inode in before.items())
    assert sent_again <= MOMENTS * IN_FLIGHT
    assert b.run("pull", limit_s=120).code == 0
    assert b.files() == a.files()
    assert len(b.files()) == FILES
    assert {n: r[0] for n, r in tree(store).items()} == {n: r[0] for n, r in a.files().items()}


@pytest.mark.timeout(400)
def test_a_pull_that_is_killed_again_and_again_converges(pair: Pair) -> None:
    a, b, _ = pair
    copy_packages(a.cache / "data" / "packages", FILES)
    assert a.run("push", limit_s=120).code == 0
    cache = b.cache
    b.ok("status")
    placed_again = 0
    for moment in range(MOMENTS):
        before = inodes(cache)
        goal = FILES * (moment + 1) // (MOMENTS + 1)
        pulling = b.start("pull")
        arrive(cache, goal, pulling)
        b.kill()
        pulling.communicate(timeout=30)
        now = inodes(cache)
        placed_again += sum(now.get(name) != inode for name, inode in before.items())
    assert b.run("pull", limit_s=120).code == 0
    assert b.files() == a.files()
    assert placed_again == 0
    assert b.ok("conflicts", "list", "--json").json["conflicts"] == []
    assert b.ok("push").out == "nothing to push\n"
