"""Few file descriptors: the daemon takes what it may have, and what is not enough loses nothing."""

from __future__ import annotations

import resource
from pathlib import Path
from typing import TYPE_CHECKING

from tests.e2e.machines import contents, finished
from tests.places.choice import on_each

if TYPE_CHECKING:
    from tests.e2e.conftest import Pair
    from tests.e2e.machines import Machine

FILES = 300


def start_with(machine: Machine, soft: int, hard: int) -> None:
    """Start the daemon with these limits on open files."""
    machine.run("daemon", "stop")
    script = f"ulimit -Sn {soft} && ulimit -Hn {hard} && exec swampctl daemon start"
    result = finished(machine.spawn(["bash", "-c", script]))
    assert result.code == 0, result


def limits(machine: Machine) -> tuple[int, int]:
    """Soft and hard, of the running daemon."""
    return resource.prlimit(machine.daemon_pid, resource.RLIMIT_NOFILE)


def fill(machine: Machine) -> None:
    for number in range(FILES):
        machine.write(f"data/{number % 7}/f{number}", f"{number}\n" * 50)


def test_the_daemon_raises_its_soft_limit(pair: Pair) -> None:
    a, _, _ = pair
    start_with(a, 64, 4096)
    assert limits(a) == (4096, 4096)


@on_each
def test_with_few_descriptors_all_works(pair: Pair) -> None:
    a, b, place = pair
    fill(a)
    for one, word in ((a, "push"), (b, "pull")):
        start_with(one, 128, 128)
        assert limits(one) == (128, 128)
        one.ok(word)
        assert "Traceback" not in one.log()
    assert a.files() == b.files()
    assert place.plain_files() == contents(a)


def test_too_few_descriptors_are_said_to_be_that(pair: Pair) -> None:
    a, b, _ = pair
    fill(a)
    a.ok("push")
    start_with(b, 256, 256)
    b.ok("status")
    pid = b.daemon_pid
    used = len(list(Path(f"/proc/{pid}/fd").iterdir()))
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (used, 256))
    refused = b.run("push")
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (256, 256))
    assert refused.code != 0
    assert "ulimit -n" in refused.err or "open files" in refused.err, refused
    b.ok("pull")
    assert a.files() == b.files()
