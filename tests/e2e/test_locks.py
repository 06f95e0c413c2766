"""Locks between sessions and machines."""

from __future__ import annotations

import re
import signal
from typing import TYPE_CHECKING

import pytest

from tests.e2e.machines import is_free, until
from tests.places.choice import on_each

if TYPE_CHECKING:
    from tests.e2e.conftest import Pair
    from tests.e2e.machines import Machine

SCOPE = "data/aws-ec2/x"


def hold(machine: Machine, scope: str = SCOPE, *words: str) -> str:
    """A lock that outlives the shell which took it; its token."""
    result = machine.shell(f"swampctl lock acquire {scope} {' '.join(words)}")
    assert result.code == 0, result
    return result.out.strip()


def test_one_shell_locks_edits_pushes_and_releases(pair: Pair) -> None:
    a, b, _ = pair
    done = a.shell(
        f"""set -e
        swampctl lock acquire {SCOPE}
        mkdir -p "$(swampctl cache path {SCOPE})"
        echo 1 > "$(swampctl cache path {SCOPE})/f"
        swampctl push {SCOPE}
        swampctl lock release {SCOPE}"""
    )
    assert done.code == 0, done
    b.ok("pull")
    assert (b.cache / SCOPE / "f").read_text() == "1\n"
    assert a.ok("lock", "list", "--json").json["holds"] == []


@on_each
def test_a_held_lock_is_refused_at_once_naming_the_holder(pair: Pair) -> None:
    a, b, place = pair
    hold(a)
    until(lambda: is_free(place, "data"), "the lease of data is given back")
    pid = str(a.daemon_pid)
    remote = b.run("lock", "acquire", SCOPE, "--no-wait", "--json")
    assert remote.code == 11
    error = remote.json["error"]
    assert (error["code"], error["exit_code"]) == ("lock_busy", 11)
    assert pid in error["summary"]
    local = a.run("lock", "acquire", SCOPE, "--no-wait")
    assert local.code == 11
    assert re.search(r"is locked on this machine by process \d+, for \d+ s", local.err)


def test_a_wait_that_ends_names_holder_and_age(pair: Pair) -> None:
    a, b, place = pair
    hold(a)
    until(lambda: is_free(place, "data"), "the lease of data is given back")
    waited = b.run("lock", "acquire", SCOPE, "--wait", "1500ms")
    assert waited.code == 11
    since = r"since \d{4}-\d\d-\d\dT\d\d:\d\d:\d\d"
    assert re.search(rf"{SCOPE} is locked by .*pid {a.daemon_pid} on .* {since}", waited.err)
    local = a.run("lock", "acquire", SCOPE, "--wait", "1500ms", "--json")
    assert (local.code, local.json["error"]["code"]) == (11, "lock_timeout")
    assert int(local.json["error"]["fields"]["age_s"]) >= 1
    assert local.json["error"]["fields"]["holder"].startswith("process ")


def test_acquiring_twice_answers_with_the_token(pair: Pair) -> None:
    a, _, _ = pair
    done = a.shell(
        f"""swampctl lock acquire {SCOPE} > first
        swampctl lock acquire {SCOPE} --json > second; echo $? > code"""
    )
    assert done.code == 0
    assert (a.repo / "code").read_text() == "2\n"
    token = (a.repo / "first").read_text().strip()
    assert token in (a.repo / "second").read_text()


def test_another_session_needs_the_token(pair: Pair) -> None:
    a, _, _ = pair
    token = hold(a)
    refused = a.run("lock", "release", SCOPE)
    assert refused.code == 1
    assert "you do not hold" in refused.err
    a.write(f"{SCOPE}/f", "1")
    assert a.run("push", SCOPE, "--no-wait").code == 11
    a.ok("push", SCOPE, "--token", token)
    a.ok("lock", "release", "--token", token)
    assert a.ok("lock", "list", "--json").json["holds"] == []


def test_a_hold_ends_with_the_process_that_was_named(pair: Pair) -> None:
    a, _, place = pair
    sleeper = a.spawn(["sleep", "600"])
    hold(a, SCOPE, "--pid", str(sleeper.pid))
    (found,) = a.ok("lock", "list", "--json").json["holds"]
    assert found["ends_with"] == f"process {sleeper.pid}"
    sleeper.kill()
    sleeper.communicate()
    until(lambda: is_free(place, SCOPE), "the hold has ended")
    assert a.ok("lock", "list", "--json").json["holds"] == []


def test_a_hold_ends_after_max_hold(pair: Pair) -> None:
    a, _, place = pair
    hold(a, SCOPE, "--max-hold", "500ms")
    until(lambda: is_free(place, SCOPE), "the hold has ended")
    assert a.ok("lock", "list", "--json").json["holds"] == []


def test_show_and_break(pair: Pair) -> None:
    a, b, place = pair
    hold(a)
    until(lambda: is_free(place, "data"), "the lease of data is given back")
    shown = b.ok("lock", "show", SCOPE, "--json").json["lock"]
    assert (shown["state"], shown["pid"]) == ("held", a.daemon_pid)
    wrong = b.run("lock", "break", SCOPE, "--epoch", str(shown["epoch"] + 1))
    assert wrong.code == 1
    assert "is not held with epoch" in wrong.err
    said = b.ok("lock", "break", SCOPE, "--epoch", str(shown["epoch"]), "--now").out
    assert str(a.daemon_pid) in said
    assert b.run("lock", "acquire", SCOPE, "--wait", "20s").code == 0


def test_run_tells_the_command_about_its_lock(pair: Pair) -> None:
    a, _, _ = pair
    found = a.ok("lock", "run", SCOPE, "--", "env").out.splitlines()
    values = dict(line.split("=", 1) for line in found if line.startswith("SWAMP_"))
    assert values["SWAMP_CACHE"] == str(a.cache)
    assert values["SWAMP_SCOPE_PATH"] == str(a.cache / SCOPE)
    assert int(values["SWAMP_LOCK_EPOCH"]) >= 1
    assert values["SWAMP_LOCK_TOKEN"]
    assert a.ok("lock", "run", SCOPE, "--", "pwd").out.strip() == str(a.repo)


@on_each
def test_run_pushes_what_the_command_did(pair: Pair) -> None:
    a, b, _ = pair
    script = 'mkdir -p "$SWAMP_SCOPE_PATH" && echo hi > "$SWAMP_SCOPE_PATH/f"'
    a.ok("lock", "run", SCOPE, "--", "sh", "-c", script)
    b.ok("pull")
    assert (b.cache / SCOPE / "f").read_text() == "hi\n"
    assert a.ok("lock", "list", "--json").json["holds"] == []


def test_run_inside_run_acquires_and_releases_nothing(pair: Pair) -> None:
    a, b, _ = pair
    inner = 'mkdir -p "$SWAMP_SCOPE_PATH"; echo "$SWAMP_LOCK_TOKEN" > "$SWAMP_SCOPE_PATH/f"'
    script = f"""set -e
    swampctl lock run {SCOPE} -- sh -c '{inner}'
    test "$(cat "$SWAMP_SCOPE_PATH/f")" = "$SWAMP_LOCK_TOKEN"
    swampctl lock list --json | grep -q '"token_only": true'
    swampctl push {SCOPE}"""
    a.ok("lock", "run", SCOPE, "--", "sh", "-c", script)
    b.ok("pull")
    assert (b.cache / SCOPE / "f").exists()


def test_a_failing_command_is_not_pushed(pair: Pair) -> None:
    a, b, _ = pair
    script = 'mkdir -p "$SWAMP_SCOPE_PATH"; echo hi > "$SWAMP_SCOPE_PATH/f"; exit 7'
    failed = a.run("lock", "run", SCOPE, "--", "sh", "-c", script)
    assert failed.code == 7
    assert "nothing was pushed" in failed.err
    b.ok("pull")
    assert b.files() == {}
    assert a.run("lock", "run", SCOPE, "--", "sh", "-c", "kill -TERM $$").code == 128 + 15


def test_a_command_that_cannot_be_run(pair: Pair) -> None:
    a, _, _ = pair
    refused = a.run("lock", "run", SCOPE, "--", "no-such-command")
    assert refused.code == 2
    assert "no-such-command cannot be run" in refused.err
    assert a.run("lock", "run", SCOPE).code == 2


def test_a_client_that_is_killed_gives_its_lock_back(pair: Pair) -> None:
    a, _, place = pair
    running = a.start("lock", "run", SCOPE, "--", "sleep", "600")
    until(lambda: a.ok("lock", "list", "--json").json["holds"], "it is held")
    running.send_signal(signal.SIGTERM)
    assert running.wait(20) == 128 + 15
    running.communicate()
    until(lambda: is_free(place, SCOPE), "the hold has ended")
    assert a.ok("lock", "list", "--json").json["holds"] == []


@pytest.mark.timeout(240)
def test_counting_from_eight_clients_loses_none(pair: Pair) -> None:
    a, b, _ = pair
    a.write(f"{SCOPE}/F", "0\n")
    a.ok("push", SCOPE)
    script = (
        'n=$(cat "$SWAMP_SCOPE_PATH/F"); echo "saw $n"; echo $((n + 1)) > "$SWAMP_SCOPE_PATH/F"'
    )
    loop = f"""for i in 1 2 3 4 5 6 7 8 9 10; do
        swampctl lock run {SCOPE} --wait 200s -- sh -c '{script}' || exit $?
    done"""
    clients = [m.spawn(["sh", "-c", loop]) for m in (a, b) for _ in range(4)]
    seen: list[int] = []
    for client in clients:
        out, err = client.communicate(timeout=200)
        assert client.returncode == 0, (out, err)
        seen += [int(line.removeprefix("saw ")) for line in out.splitlines()]
    assert sorted(seen) == list(range(80))
    b.ok("pull", SCOPE)
    assert (b.cache / SCOPE / "F").read_text() == "80\n"
