"""A full disk under the cache (tmpfs): a clear error, nothing lost, and on once there is room."""

from __future__ import annotations

import subprocess
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from tests.e2e.machines import contents

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.e2e.conftest import Pair
    from tests.e2e.machines import Machine


@contextmanager
def small_disk(machine: Machine, options: str) -> Iterator[Any]:
    """A tmpfs as the cache; yields what changes its limits."""
    cache = machine.cache
    cache.mkdir(parents=True, exist_ok=True)
    mount = ["mount", "-t", "tmpfs", "-o"]
    subprocess.run([*mount, options, "tmpfs", cache], check=True)
    try:
        yield lambda fresh: subprocess.run([*mount, f"remount,{fresh}", cache], check=True)
    finally:
        machine.run("daemon", "stop")
        subprocess.run(["umount", "-l", cache], check=True)


@pytest.mark.needs_root
@pytest.mark.parametrize("size", ["2m", "100m"])
def test_a_nearly_full_disk_halts_pulls_and_not_pushes(pair: Pair, size: str) -> None:
    a, b, _ = pair
    a.write("data/f", "from a")
    a.ok("push")
    with small_disk(b, f"size={size}") as remount:
        refused = b.run("pull", "--json")
        assert refused.code == 6
        assert refused.json["error"]["fields"]["halt"] == "low_space"
        assert "200 MiB" in refused.err
        assert contents(b) == {}
        b.write("other/g", "from b")
        b.ok("push", "other")
        a.ok("pull")
        assert (a.cache / "other/g").read_text() == "from b"
        remount("size=300m")
        b.ok("pull")
        assert contents(b) == contents(a)


@pytest.mark.needs_root
def test_a_disk_that_fills_up_while_pulling_loses_nothing(pair: Pair) -> None:
    a, b, place = pair
    for number in range(100):
        a.write(f"data/f{number:03}", str(number))
    a.ok("push")
    with small_disk(b, "size=400m,nr_inodes=60") as remount:
        b.write("data/mine", "from b")
        refused = b.run("pull", "--json")
        assert (refused.code, refused.json["error"]["code"]) == (6, "low_space"), refused
        assert "free some space" in refused.err
        assert contents(b)["data/mine"] == b"from b"
        assert len(place.plain_keys()) == 100
        remount("size=400m,nr_inodes=1000")
        b.ok("pull")
        b.ok("push")
        a.ok("pull")
        assert contents(b) == contents(a)
        assert len(contents(a)) == 101
