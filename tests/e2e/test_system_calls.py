"""Faults of single system calls under a real daemon: it dies at the nth rename or sync, or the
kernel answers EIO to it.  Whatever n is, nothing is lost and all goes on after a restart."""

from __future__ import annotations

import shutil
import sys
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

import pytest

from tests.e2e.independent import IndependentReader
from tests.e2e.machines import contents, until
from tests.e2e.random_work import EXPECTED
from tests.places.choice import folder_only

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Iterator

    from tests.e2e.conftest import Pair
    from tests.e2e.machines import Machine

RENAMES = "rename,renameat,renameat2,linkat"
SYNCS = "fsync,fdatasync,syncfs"
FAULTS = {
    "killed at a rename": f"{RENAMES}:signal=KILL",
    "killed at a sync": f"{SYNCS}:signal=KILL",
    "a rename fails": f"{RENAMES}:error=EIO",
    "a sync fails": f"{SYNCS}:error=EIO",
}
NTHS = (1, 2, 3, 4, 6, 9, 13)
"""Of each thread: so few reach far into a push or pull."""


@contextmanager
def traced(machine: Machine, fault: str, nth: int) -> Iterator[subprocess.Popen[str]]:
    """The daemon, with this fault at the nth call of each of its threads once it is up."""
    program = shutil.which("strace")
    assert program is not None, "these tests need strace: apt-get install strace"
    machine.run("daemon", "stop")
    inject = f"inject={fault}:when={nth}"
    daemon = [sys.executable, "-P", "-m", "swampd"]
    tracing = machine.spawn([program, "-f", "-qqq", "-o", "/dev/null", "-e", inject, *daemon])
    try:
        yield tracing
    finally:
        with suppress(OSError, ValueError, KeyError):
            machine.kill()
        tracing.communicate(timeout=30)


def change(a: Machine, b: Machine, number: int) -> None:
    """Both machines do all that can be done to files: new, replaced, deleted, large; apart."""
    for one in (a, b):
        for old in ("deleted", "replaced", "large"):
            one.write(f"{one.name}/{old}", f"{old} {number}" * 20)
    for one, other in ((a, b), (b, a)):
        one.ok("push")
        other.ok("pull")
    for one in (a, b):
        one.write(f"{one.name}/new{number}", f"new {number}")
        one.write(f"{one.name}/replaced", f"replaced again {number}")
        one.write(f"{one.name}/large", str(number) * 30_000, executable=bool(number % 2))
        (one.cache / one.name / "deleted").unlink()
    a.ok("push")


@pytest.mark.long
@pytest.mark.needs_root
@pytest.mark.timeout(900)
@folder_only
@pytest.mark.parametrize("fault", FAULTS)
def test_the_nth_call_fails(pair: Pair, fault: str) -> None:
    a, b, place = pair
    met = 0
    for nth in NTHS:
        change(a, b, nth)
        before = contents(b)
        with traced(b, FAULTS[fault], nth):
            until(lambda: b.run("daemon", "status").code == 0, "it is up", 30)
            results = [b.run(word) for word in ("pull", "push", "pull")]
        assert {result.code for result in results} <= EXPECTED, results
        assert all("Traceback" not in result.err for result in results), results
        met += any(result.code for result in results)
        mine = {path: content for path, content in before.items() if path.startswith("b/")}
        assert contents(b).items() >= mine.items()
        b.ok("pull")
        b.ok("push")
        assert b.ok("conflicts", "list", "--json").json["conflicts"] == []
        a.ok("pull")
        assert contents(a) == contents(b)
        assert IndependentReader(place.find, place.keys).files() == contents(a)
    assert met > 0
