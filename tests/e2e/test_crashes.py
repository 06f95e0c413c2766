"""kill -9 of the daemon in the middle of its work: it goes on from where it was."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from tests.e2e.machines import contents, until
from tests.e2e.test_transfer import FILES, copy_packages
from tests.places.choice import on_each

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


def killed_pushes(pair: Pair, files: int, moments: int) -> int:
    """A push that is killed so often at different points, and then is not; how many plain objects
    were sent more than once."""
    a, _, place = pair
    copy_packages(a.cache / "data" / "packages", files)
    sent_again = 0
    for moment in range(moments):
        before = place.writes()
        goal = files * (moment + 1) // moments
        pushing = a.start("push")
        arrive(lambda: len(place.writes()), goal, pushing)
        a.kill()
        pushing.communicate(timeout=30)
        sent_again += changed(before, place.writes())
    before = place.writes()
    assert a.run("push", limit_s=120).code == 0
    return sent_again + changed(before, place.writes())


def assert_the_same(pair: Pair, files: int) -> None:
    a, b, place = pair
    assert b.run("pull", limit_s=120).code == 0
    assert b.files() == a.files()
    assert len(b.files()) == files
    assert place.plain_files() == contents(a)


@on_each
def test_a_push_that_is_killed_goes_on(pair: Pair) -> None:
    assert killed_pushes(pair, 300, 3) <= 3 * IN_FLIGHT
    assert_the_same(pair, 300)


@pytest.mark.timeout(400)
def test_a_push_that_is_killed_again_and_again_converges(pair: Pair) -> None:
    assert killed_pushes(pair, FILES, MOMENTS) <= MOMENTS * IN_FLIGHT
    assert_the_same(pair, FILES)


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
