"""kill -9 of the daemon in the middle of its work: it goes on from where it was."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from tests.e2e.machines import contents, until
from tests.e2e.test_transfer import FILES, copy_packages

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from tests.e2e.conftest import Pair

MOMENTS = 8
IN_FLIGHT = 64
"""A daemon works on fewer files than this at once."""


def inodes(cache: Path) -> dict[str, int]:
    """The files of a cache; quick, since it is asked while the daemon works."""
    found, pending = {}, [str(cache)]
    while pending:
        with os.scandir(pending.pop()) as entries:
            for entry in entries:
                if entry.name == ".swampd":
                    continue
                if entry.is_dir(follow_symlinks=False):
                    pending.append(entry.path)
                else:
                    found[entry.path] = entry.inode()
    return found


def changed(before: Mapping[str, object], now: Mapping[str, object]) -> int:
    """How many of the things there were are not what they were."""
    return sum(now.get(name) != what for name, what in before.items())


def arrive(count: Callable[[], int], goal: int, command: subprocess.Popen[str]) -> None:
    """Wait until so many files are there, or the command has ended."""
    until(lambda: command.poll() is not None or count() >= goal, f"{goal} files are there", 60)


@pytest.mark.timeout(400)
def test_a_push_that_is_killed_again_and_again_converges(pair: Pair) -> None:
    a, b, place = pair
    copy_packages(a.cache / "data" / "packages", FILES)
    sent_again = 0
    for moment in range(MOMENTS):
        before = place.writes()
        goal = min(FILES, FILES * (moment + 1) // MOMENTS)
        pushing = a.start("push")
        arrive(lambda: len(place.plain_keys()), goal, pushing)
        a.kill()
        pushing.communicate(timeout=30)
        sent_again += changed(before, place.writes())
    before = place.writes()
    a.ok("push")
    sent_again += changed(before, place.writes())
    assert sent_again <= MOMENTS * IN_FLIGHT
    assert b.run("pull", limit_s=120).code == 0
    assert b.files() == a.files()
    assert len(b.files()) == FILES
    assert place.plain_files() == contents(a)


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
        arrive(lambda: len(inodes(cache)), goal, pulling)
        b.kill()
        pulling.communicate(timeout=30)
        placed_again += changed(before, inodes(cache))
    assert b.run("pull", limit_s=120).code == 0
    assert b.files() == a.files()
    assert placed_again == 0
    assert b.ok("conflicts", "list", "--json").json["conflicts"] == []
    assert b.ok("push").out == "nothing to push\n"
