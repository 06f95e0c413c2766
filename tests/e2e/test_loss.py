"""A lock whose holder stops is taken over; the holder learns it and commits nothing."""

from __future__ import annotations

import signal
import time
from typing import TYPE_CHECKING, Any

import pytest

from tests.e2e.machines import finished, until

if TYPE_CHECKING:
    from tests.e2e.conftest import Pair
    from tests.e2e.machines import Machine

SCOPE = "data/x"
STOPPED_S = 8.0


@pytest.mark.timeout(120)
def test_a_stopped_daemon_loses_its_lock_and_says_so_once(pair: Pair) -> None:
    a, b, _ = pair
    a.write(f"{SCOPE}/f", "first\n")
    a.ok("push", SCOPE)
    token = a.shell(f"swampctl lock acquire {SCOPE} --ttl 3s").out.strip()
    b.ok("pull")
    a.write(f"{SCOPE}/f", "edited on a\n")
    a.signal(signal.SIGSTOP)
    stopped = time.monotonic()
    taken = b.run("lock", "run", SCOPE, "--", "sh", "-c", 'echo from b > "$SWAMP_SCOPE_PATH/f"')
    assert taken.code == 0, taken
    until(lambda: time.monotonic() - stopped > STOPPED_S, "it was stopped for long enough")
    a.signal(signal.SIGCONT)
    lost = a.run("push", SCOPE, "--token", token, "--json")
    assert lost.code == 13
    assert lost.json["error"]["code"] == "lock_lost"
    assert (b.cache / SCOPE / "f").read_text() == "from b\n"
    assert (a.cache / SCOPE / "f").read_text() == "edited on a\n"
    again = a.run("push", SCOPE, "--token", token)
    assert again.code == 1
    # Acting afresh: both changed, so both are kept.
    assert a.run("pull", SCOPE).code == 3
    (conflict,) = a.ok("conflicts", "list", "--json").json["conflicts"]
    assert (a.cache / conflict["copy"]).read_text() == "from b\n"
    assert (a.cache / SCOPE / "f").read_text() == "edited on a\n"


@pytest.mark.timeout(120)
def test_a_command_does_not_outlive_its_lock(pair: Pair) -> None:
    a, b, _ = pair
    a.write(f"{SCOPE}/f", "first\n")
    a.ok("push", SCOPE)
    script = 'echo unfinished > "$SWAMP_SCOPE_PATH/f"; echo $$ > "$SWAMP_CACHE/../pid"; sleep 600'
    running = a.start("lock", "run", SCOPE, "--ttl", "3s", "--", "sh", "-c", script)
    mark = a.cache.parent / "pid"
    until(mark.exists, "the command runs")
    a.signal(signal.SIGSTOP)
    ended = finished(running, 20)
    assert ended.code == 13, ended
    assert "was lost while the command ran" in ended.err
    a.signal(signal.SIGCONT)
    b.ok("pull")
    assert (b.cache / SCOPE / "f").read_text() == "first\n"
    assert (a.cache / SCOPE / "f").read_text() == "unfinished\n"


def test_a_broken_lock_ends_the_command(pair: Pair) -> None:
    a, b, _ = pair
    running = a.start("lock", "run", SCOPE, "--ttl", "3s", "--", "sleep", "600")
    shown = until(lambda: _held(b), "it is held")
    b.ok("lock", "break", SCOPE, "--epoch", str(shown["epoch"]))
    ended = finished(running, 20)
    assert ended.code == 13, ended


def _held(machine: Machine) -> Any:
    found = machine.ok("lock", "show", SCOPE, "--json").json
    return found["lock"] if found["lock"] and found["lock"]["state"] == "held" else None
