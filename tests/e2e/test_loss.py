"""A lock whose holder stops is taken over; the holder learns it and commits nothing."""

from __future__ import annotations

import signal
import time
from typing import TYPE_CHECKING, Any

import pytest

from tests.e2e.machines import finished, is_free, until

if TYPE_CHECKING:
    from tests.e2e.conftest import Pair
    from tests.e2e.machines import Machine
    from tests.places.place import Place

SCOPE = "data/x"
STOPPED_S = 8.0


def wait_until_free(place: Place) -> None:
    until(lambda: is_free(place, "data", SCOPE), "no lease lingers")


@pytest.mark.timeout(120)
def test_a_stopped_daemon_loses_its_lock_and_says_so_once(pair: Pair) -> None:
    a, b, place = pair
    a.write(f"{SCOPE}/f", "first\n")
    a.ok("push", SCOPE)
    b.ok("pull")
    wait_until_free(place)  # else the lease of the push is reused, with its ttl
    token = a.shell(f"swampctl lock acquire {SCOPE} --ttl 3s").out.strip()
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
    a, b, place = pair
    a.write(f"{SCOPE}/f", "first\n")
    a.ok("push", SCOPE)
    wait_until_free(place)
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


@pytest.mark.timeout(120)
def test_a_command_outlives_a_daemon_that_was_killed(pair: Pair) -> None:
    a, b, _ = pair
    script = """mkdir -p "$SWAMP_SCOPE_PATH"; touch "$SWAMP_CACHE/../runs"
        while ! test -e "$SWAMP_CACHE/../go"; do sleep 0.1; done
        echo done > "$SWAMP_SCOPE_PATH/f" """
    running = a.start("lock", "run", SCOPE, "--ttl", "8s", "--", "sh", "-c", script)
    beside = a.cache.parent
    until((beside / "runs").exists, "the command runs")
    before = a.ok("lock", "show", SCOPE, "--json").json["lock"]["epoch"]
    pid = a.daemon_pid
    a.kill()
    killed = time.monotonic()
    until(lambda: a.run("daemon", "status").code == 0, "the client started another daemon")
    until(lambda: time.monotonic() - killed > STOPPED_S, "the old deadline has passed")
    assert a.daemon_pid != pid
    assert a.ok("lock", "show", SCOPE, "--json").json["lock"]["epoch"] == before
    (beside / "go").touch()
    ended = finished(running, 30)
    assert ended.code == 0, ended
    b.ok("pull")
    assert (b.cache / SCOPE / "f").read_text() == "done\n"
    assert a.ok("lock", "list", "--json").json["holds"] == []


def test_a_command_ends_when_its_daemon_is_stopped(pair: Pair) -> None:
    a, b, _ = pair
    running = a.start("lock", "run", SCOPE, "--", "sh", "-c", "sleep 600")
    until(lambda: _held(b), "it is held")
    a.ok("daemon", "stop")
    ended = finished(running, 20)
    assert ended.code == 13, ended
    assert "was lost while the command ran: the daemon was stopped" in ended.err
    assert a.run("daemon", "status").code == 4
    b.ok("lock", "acquire", SCOPE, "--no-wait")


@pytest.mark.parametrize(
    "words", [("lock", "acquire", SCOPE), ("lock", "run", SCOPE, "--", "true")]
)
def test_an_interrupted_client_ends_with_130(pair: Pair, words: tuple[str, ...]) -> None:
    a, b, _ = pair
    a.shell(f"swampctl lock acquire {SCOPE}")
    waiting = b.start(*words)
    until(lambda: "join_mode" in b.log() or "workspace_opened" in b.log(), "the request is there")
    waiting.send_signal(signal.SIGINT)
    ended = finished(waiting, 20)
    assert ended.code == 130, ended
    assert ended.err.startswith("error: interrupted")
