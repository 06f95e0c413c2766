"""Two machines and a bucket behind a network that loses answers, and worse: nothing is lost."""

from __future__ import annotations

import json
import time
from collections import Counter
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from tests.e2e.machines import Machine, finished, until
from tests.places.bucket import BucketPlace
from tests.servers.access_log import read_log
from tests.servers.chaos import ChaosProxy
from tests.servers.clients import credentials_file
from tests.servers.mischief import Answer, Delay, DropReply, Hold
from tests.servers.refusals import EXPIRED_TOKEN, SLOW_DOWN, Denial, Match

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.servers.moto import MotoServer

pytestmark = pytest.mark.servers
SAID_WITHIN_S = 5.0
FILES = 600
ROUNDS = 25
CLIENTS = 4
MET = ("write_unknown",)
RESOLVED = ("unknown_resolved", "unknown_looked_at")


class Proxied(NamedTuple):
    """Two machines whose way to the bucket can be spoilt."""

    a: Machine
    b: Machine
    place: BucketPlace
    proxy: ChaosProxy


@pytest.fixture
def proxied(
    machine: Callable[[str], Machine], moto_process: MotoServer, tmp_path: Path
) -> Iterator[Proxied]:
    proxy = ChaosProxy(moto_process.url, seed=7).start()
    place = BucketPlace(moto_process, tmp_path / "store-home", proxy.url)
    a, b = machine("a"), machine("b")
    a.set_up(place)
    b.join(a)
    b.equip(place)
    yield Proxied(a, b, place, proxy)
    proxy.close()


def events(machine: Machine, *names: str) -> list[dict[str, Any]]:
    """What the daemon logged by these names."""
    rows = [json.loads(line) for line in machine.log().splitlines() if line.startswith("{")]
    return [row for row in rows if row.get("event") in names]


def said(machine: Machine) -> dict[str, Any]:
    """What `status` says of the store, in time."""
    began = time.monotonic()
    (found,) = machine.ok("status", "--json").json["workspaces"]
    assert time.monotonic() - began < SAID_WITHIN_S
    return dict(found["store"])


def sent_twice(place: BucketPlace) -> list[str]:
    """Plain keys that were written more than once."""
    rows = read_log(place.log.read_bytes())
    written = Counter(
        row.key
        for row in rows
        if row.bucket == place.bucket and row.method == "PUT" and row.status == 200
    )
    return [key for key, times in written.items() if times > 1 and "_control" not in key]


@pytest.mark.timeout(900)
def test_a_counter_loses_no_step(proxied: Proxied) -> None:
    a, b, _, proxy = proxied
    a.write("data/counter", "0\n")
    a.ok("push")
    proxy.add(DropReply(), probability=0.05)
    proxy.add(Answer(SLOW_DOWN), probability=0.02)
    step = 'n=$(cat "$SWAMP_CACHE/data/counter"); echo $((n + 1)) > "$SWAMP_CACHE/data/counter"'
    script = (
        f"for i in $(seq {ROUNDS}); do"
        f" swampctl lock run data --wait 10m -- sh -c '{step}' || exit $?; done"
    )
    clients = [one.spawn(["sh", "-c", script]) for one in (a, b) for _ in range(CLIENTS)]
    results = [finished(client, 850) for client in clients]
    assert [result for result in results if result.code] == []
    proxy.clear()
    b.ok("pull")
    assert (b.cache / "data/counter").read_text() == f"{2 * CLIENTS * ROUNDS}\n"
    assert proxy.counts["DropReply"] > 20
    for one in (a, b):
        one.ok("daemon", "stop")
        rows = events(one, "workspace_opened", *MET, *RESOLVED)
        opened = max(i for i, row in enumerate(rows) if row["event"] == "workspace_opened")
        rows = rows[opened:]
        met = [row for row in rows if row["event"] in MET and row["operation"] != "delete"]
        resolved = [row for row in rows if row["event"] in RESOLVED]
        assert sum(row["unknown"] for row in resolved) == len(met) > 0


def fill(one: Machine) -> None:
    for number in range(FILES):
        one.write(f"data/{number // 100}/f{number}", f"{number}\n" * 20)


@pytest.mark.timeout(180)
def test_a_store_that_goes_down_in_mid_push_is_waited_for(proxied: Proxied) -> None:
    a, b, place, proxy = proxied
    fill(a)
    proxy.add(Delay(0.3), Match("PUT", "/data/"))
    push = a.start("push")
    proxy.wait_for("forwarded", 150)
    proxy.refuse()
    until(lambda: said(a)["state"] == "unreachable", "status says so", SAID_WITHIN_S)
    assert push.poll() is None
    proxy.accept()
    result = finished(push)
    assert (result.code, said(a)["state"]) == (0, "ok"), result
    assert sent_twice(place) == []
    b.ok("pull")
    assert a.files().keys() == b.files().keys()


@pytest.mark.timeout(180)
def test_credentials_that_expire_in_mid_push_are_waited_for(proxied: Proxied) -> None:
    a, b, place, proxy = proxied
    fill(a)
    keys = a.root / "home"
    a.environ["AWS_SHARED_CREDENTIALS_FILE"] = str(credentials_file(keys, "old"))
    a.ok("daemon", "stop")
    a.ok("status")
    proxy.add(Delay(0.3), Match("PUT", "/data/"))
    push = a.start("push")
    proxy.wait_for("forwarded", 150)
    place.server.deny(Denial(Match(access_key="old"), EXPIRED_TOKEN))
    try:
        until(lambda: said(a)["state"] == "expired_credentials", "status says so", SAID_WITHIN_S)
        credentials_file(keys, "new")
        result = finished(push)
    finally:
        place.server.deny()
    assert (result.code, said(a)["state"]) == (0, "ok"), result
    assert sent_twice(place) == []
    b.ok("pull")
    assert a.files().keys() == b.files().keys()


def test_a_store_that_is_down_at_the_start_is_said_and_come_back_to(proxied: Proxied) -> None:
    a, _, place, proxy = proxied
    a.ok("daemon", "stop")
    proxy.refuse()
    until(lambda: said(a)["state"] == "unreachable", "status says so", SAID_WITHIN_S)
    a.write("data/f", "1")
    push = a.start("push")
    until(lambda: events(a, "not_opened"), "the push has met it")
    proxy.accept()
    assert finished(push).code == 0
    assert place.read("data/f") == b"1"


@pytest.mark.timeout(180)
def test_a_store_that_leaves_everything_without_an_answer_is_said(proxied: Proxied) -> None:
    a, b, _, proxy = proxied
    for number in range(8):
        a.write(f"data/f{number}", f"{number}" * 100_000)
    a.ok("push")
    hold = proxy.add(Hold())
    pull = b.start("pull")
    until(lambda: said(b)["state"] == "silent", "status says so", SAID_WITHIN_S)
    assert pull.poll() is None
    proxy.remove(hold)
    result = finished(pull)
    assert (result.code, said(b)["state"]) == (0, "ok"), result
    assert a.files().keys() == b.files().keys()
