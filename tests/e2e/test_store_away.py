"""A store that is away: said at once, waited for, and gone on with by itself when it is back."""

from __future__ import annotations

import json
import signal
import time
from typing import TYPE_CHECKING, Any

import pytest

from tests.e2e.machines import finished, until
from tests.places.choice import on_each

if TYPE_CHECKING:
    from tests.e2e.conftest import Pair
    from tests.e2e.machines import Machine

SAID_WITHIN_S = 5.0


@pytest.fixture
def stopped(pair: Pair) -> Pair:
    """One push was made; no daemon runs."""
    pair.a.write("data/f", "1")
    pair.a.ok("push")
    pair.a.ok("daemon", "stop")
    return pair


def said(machine: Machine) -> dict[str, Any]:
    """What `status` says of the workspace, in time."""
    began = time.monotonic()
    found = machine.ok("status", "--json").json["workspaces"]
    assert time.monotonic() - began < SAID_WITHIN_S
    (workspace,) = found
    return dict(workspace)


def events(machine: Machine, name: str) -> list[dict[str, Any]]:
    """Events of this name in the daemon's log."""
    rows = [json.loads(line) for line in machine.log().splitlines() if line.startswith("{")]
    return [row for row in rows if row.get("event") == name]


def test_status_says_that_the_store_is_away_at_the_start(stopped: Pair) -> None:
    a, _, place = stopped
    with place.away():
        found = said(a)
        assert found["open"] is False
        assert found["store"]["state"] == "unreachable"
        assert place.shown in found["store"]["detail"]
        assert found["store"]["goes_on"] is True
        assert found["store"]["since"]
        assert found["store"]["next_try"] > found["store"]["since"]
        text = a.ok("status").out
        assert "store      unreachable since " in text
        assert "; goes on by itself, asked again at " in text
        assert "workspace  not open" in text
    found = said(a)
    assert (found["open"], found["store"]["state"]) == (True, "ok")
    assert "\nstore " not in a.ok("status").out


def test_a_workspace_is_opened_by_itself_when_its_store_is_back(stopped: Pair) -> None:
    a, _, place = stopped
    with place.away():
        assert said(a)["open"] is False
        before = len(events(a, "workspace_opened"))
    until(lambda: len(events(a, "workspace_opened")) > before, "it is opened unasked", 16.0)


@on_each
def test_a_push_waits_for_a_store_that_is_away(stopped: Pair) -> None:
    a, b, place = stopped
    a.write("data/f", "2")
    with place.away():
        push = a.start("push")
        until(lambda: events(a, "not_opened"), "the push has met it")
    result = finished(push)
    assert result.code == 0, result
    b.ok("pull")
    assert (b.cache / "data/f").read_text() == "2"


def test_a_push_that_may_not_wait_fails_at_once(stopped: Pair) -> None:
    a, _, place = stopped
    with place.away():
        refused = a.run("push", "--no-wait", "--json")
        assert (refused.code, refused.json["error"]["code"]) == (1, "store_unavailable")
        refused = a.run("push", "--wait", "2s", "--json")
        assert (refused.code, refused.json["error"]["code"]) == (1, "store_unavailable")
        assert "the store is unreachable: " in refused.err


def test_a_push_whose_client_goes_away_does_not_come_later(stopped: Pair) -> None:
    a, _, place = stopped
    a.write("data/f", "2")
    with place.away():
        push = a.start("push")
        until(lambda: events(a, "not_opened"), "the push has met it")
        push.send_signal(signal.SIGINT)
        assert finished(push).code == 130
    until(lambda: said(a)["open"], "it is opened again")
    assert place.read("data/f") == b"1"
    a.ok("push")
    assert place.read("data/f") == b"2"


def test_a_store_that_goes_away_and_comes_back_is_shown_so(pair: Pair) -> None:
    a, _, place = pair
    a.write("data/f", "1")
    a.ok("push")
    with place.away():
        assert a.run("lock", "list").code == 1
        found = said(a)
        assert found["open"] is True
        assert found["store"]["state"] == "unreachable"
        assert found["scopes"]
        assert "store      unreachable since " in a.ok("status").out
    until(lambda: said(a)["store"]["state"] == "ok", "it is asked by itself")
    assert len(events(a, "store_lost")) == len(events(a, "store_back")) == 1


def test_a_daemon_with_a_store_that_is_away_ends_in_time(stopped: Pair) -> None:
    a, _, place = stopped
    with place.away():
        assert said(a)["open"] is False
        push = a.start("push")
        assert push.stderr is not None
        assert "the store is unreachable" in push.stderr.readline()
        began = time.monotonic()
        a.ok("daemon", "stop")
        assert time.monotonic() - began < SAID_WITHIN_S
        assert finished(push).code == 4
