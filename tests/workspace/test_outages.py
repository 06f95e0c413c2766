"""A store that goes away in the middle: work waits, goes on by itself, and sends nothing twice."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from swampd.domain.values import CachePath
from swampd.errors import LockLost, PushFailed, StoreDenied, StoreUnavailable
from swampd.syncing.sent import all_sent
from swampd.workspace import Asker
from tests.workspace.outages import Desk, now, scenario

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

FILES = 150


def expired() -> Exception:
    return StoreDenied("the credentials are over: 400 ExpiredToken", "sign in again")


def edited(a: Desk) -> dict[str, bytes]:
    """So many new files."""
    files = {f"d/{number:04}": f"content {number}".encode() for number in range(FILES)}
    for path, content in files.items():
        a.write(path, content)
    return files


async def left(a: Desk) -> int:
    """How many acknowledged creates are remembered."""
    return len(await a.workspace.ports.journal.read(all_sent))


def creates(a: Desk, files: dict[str, bytes]) -> list[int]:
    """How often each file's plain key was sent to the store."""
    return [a.wire.asked["create", path] for path in files]


@pytest.mark.parametrize("error", [None, expired])
def test_a_short_outage_in_mid_push_is_waited_out(error: Callable[[], Exception] | None) -> None:
    async def play(a: Desk, b: Desk) -> None:
        files = edited(a)
        a.wire.error = error or a.wire.error
        a.wire.away_after("create", 70, 20.0)
        began = now()
        done = await a.push()
        assert done.done["d"].sent == FILES
        assert 20.0 < now() - began < 30.0
        assert creates(a, files) == [1] * FILES
        assert a.wire.refused < 200
        assert await left(a) == 0
        await b.pull()
        assert {path: b.node.tree.files()[path] for path in files} == files

    scenario(play, 2)


def test_a_push_outlasts_the_lapse_of_its_lease_and_sends_nothing_again() -> None:
    async def play(a: Desk) -> None:
        files = edited(a)
        a.wire.away_after("create", 70, 45.0)
        done = await a.push()
        assert done.done["d"].sent == FILES
        assert creates(a, files) == [1] * FILES
        assert await left(a) == 0

    scenario(play)


def test_a_push_that_waits_no_longer_says_so_and_the_next_one_goes_on() -> None:
    async def play(a: Desk) -> None:
        files = edited(a)
        a.wire.away_after("create", 70, 300.0)
        began = now()
        with pytest.raises(PushFailed, match=r"the store was away .* nothing was committed"):
            await a.push()
        assert now() - began < 100.0
        kept = await left(a)
        assert kept >= 70
        await a.life.delay(300.0)
        before = a.wire.asked.copy()
        assert (await a.push()).done["d"].sent == FILES
        assert creates(a, files) == [1] * FILES
        looks = sum(a.wire.asked["head", path] - before["head", path] for path in files)
        assert looks == kept
        assert await left(a) == 0

    scenario(play)


def test_a_push_that_may_not_wait_keeps_its_place_while_its_lease_stands() -> None:
    async def play(a: Desk) -> None:
        files = edited(a)
        a.wire.away_after("create", 70, 20.0)
        await a.push(wait_s=0.0)
        assert creates(a, files) == [1] * FILES
        more = {f"{path}x": content for path, content in files.items()}
        for path, content in more.items():
            a.write(path, content)
        a.wire.away_after("create", 70, 45.0)
        began = now()
        with pytest.raises(PushFailed, match="nothing was committed"):
            await a.push(wait_s=0.0)
        assert now() - began < 40.0
        await a.life.delay(60.0)
        await a.push(wait_s=0.0)
        assert creates(a, more) == [1] * FILES

    scenario(play)


def test_what_was_acknowledged_survives_the_daemon() -> None:
    async def play(a: Desk) -> None:
        files = edited(a)
        a.wire.away_after("create", 70, 300.0)
        with pytest.raises(PushFailed):
            await a.push(wait_s=0.0)
        sent = {path for path in files if a.wire.asked["create", path]}
        a.node.crash(power=False)
        again = Desk(a.node)
        await again.workspace.ready.wait()
        await again.push()
        assert {path for path in files if again.wire.asked["create", path]} == files.keys() - sent

    scenario(play)


def test_what_was_acknowledged_and_is_gone_since_is_sent_again() -> None:
    async def play(a: Desk, b: Desk) -> None:
        files = edited(a)
        a.wire.away_after("create", 70, 45.0)
        with pytest.raises(PushFailed):
            await a.push(wait_s=0.0)
        await a.life.delay(60.0)
        store, keys = a.life.world.network.objects, a.workspace.ports.keys
        lost = next(iter(files))
        store.delete(keys.payload(CachePath(lost)))
        await a.push()
        assert a.wire.asked["create", lost] == 2
        await b.pull()
        assert b.node.tree.files()[lost] == files[lost]

    scenario(play, 2)


def test_what_was_acknowledged_and_edited_since_is_replaced() -> None:
    async def play(a: Desk, b: Desk) -> None:
        files = edited(a)
        a.wire.away_after("create", 70, 45.0)
        with pytest.raises(PushFailed):
            await a.push(wait_s=0.0)
        await a.life.delay(60.0)
        first = next(iter(files))
        a.write(first, b"edited")
        await a.push()
        assert a.wire.asked["create", first] == 1
        await b.pull()
        assert b.node.tree.files()[first] == b"edited"

    scenario(play, 2)


def test_a_hold_that_lapses_in_mid_push_is_lost() -> None:
    async def play(a: Desk) -> None:
        files = edited(a)
        hold = await a.workspace.lock(["d"], Asker(a.owner))
        a.wire.away_after("create", 70, 45.0)
        with pytest.raises(LockLost, match="nothing was committed"):
            await a.push("d")
        assert hold.lost is not None
        await a.life.delay(60.0)
        with pytest.raises(LockLost):
            await a.push("d")
        await a.push("d")
        assert creates(a, files) == [1] * FILES

    scenario(play)


def test_an_outage_at_the_commit_is_waited_out() -> None:
    async def play(a: Desk) -> None:
        files = edited(a)
        a.wire.away_after("create", FILES + 1, 45.0)  # the lock's and the files'
        assert (await a.push()).done["d"].sent == FILES
        assert creates(a, files) == [1] * FILES

    scenario(play)


def test_what_is_denied_is_told_at_once() -> None:
    async def play(a: Desk) -> None:
        edited(a)
        a.wire.error = lambda: StoreDenied("403 AccessDenied", "see the policy")
        a.wire.away_after("create", 70, 45.0)
        began = now()
        with pytest.raises(StoreDenied):
            await a.push()
        assert now() - began < 10.0

    scenario(play)


def test_whoever_goes_away_is_not_waited_for() -> None:
    async def play(a: Desk) -> None:
        edited(a)
        a.wire.away_after("create", 70, 300.0)
        push = asyncio.get_running_loop().create_task(a.push())
        await a.life.delay(15.0)
        began = now()
        push.cancel()
        with pytest.raises(asyncio.CancelledError):
            await push
        assert now() - began < 6.0
        before = a.wire.asked.copy()
        await a.life.delay(400.0)
        assert not [key for (name, key) in a.wire.asked - before if name == "create"]

    scenario(play)


@pytest.mark.parametrize(
    "act",
    [
        lambda a: a.push(),
        lambda a: a.pull(),
        lambda a: a.pull("d"),
        lambda a: a.workspace.lock(["d"], Asker(a.owner)),
        lambda a: a.workspace.lock(["d/e"], Asker(a.owner)),
    ],
)
def test_a_request_waits_for_a_store_that_is_away_and_not_for_ever(
    act: Callable[[Desk], Coroutine[object, object, object]],
) -> None:
    async def play(a: Desk) -> None:
        a.write("d/e/f", b"1")
        await a.push()
        a.write("d/e/f", b"2")
        await a.life.delay(30.0)
        a.wire.away(200.0)
        began = now()
        with pytest.raises(StoreUnavailable, match="no route"):
            await act(a)
        assert 50.0 < now() - began < 70.0
        await a.life.delay(200.0)
        a.wire.away(20.0)
        began = now()
        await act(a)
        assert now() - began < 30.0

    scenario(play)


@pytest.mark.parametrize(
    "act",
    [
        lambda a: a.push(wait_s=0.0),
        lambda a: a.pull(wait_s=0.0),
        lambda a: a.workspace.lock(["d"], Asker(a.owner, None, 0.0)),
    ],
)
def test_a_request_that_may_not_wait_fails_soon(
    act: Callable[[Desk], Coroutine[object, object, object]],
) -> None:
    async def play(a: Desk) -> None:
        a.write("d/f", b"1")
        await a.push()
        a.write("d/f", b"2")
        await a.life.delay(30.0)
        a.wire.away(200.0)
        began = now()
        with pytest.raises(StoreUnavailable, match="no route"):
            await act(a)
        assert now() - began < 6.0

    scenario(play)


@pytest.mark.parametrize(("outage_s", "through"), [(15.0, True), (100.0, False)])
def test_an_outage_in_mid_pull_is_waited_out_for_a_while(outage_s: float, *, through: bool) -> None:
    async def play(a: Desk, b: Desk) -> None:
        files = edited(a)
        await a.push()
        b.wire.away_after("get", 70, outage_s)
        began = now()
        pulled = (await b.pull()).done["d"]
        assert now() - began < 45.0
        if through:
            assert pulled.whole
            assert [b.wire.asked["get", path] for path in files] == [1] * FILES
        else:
            assert pulled.failed
            assert set(pulled.failed.values()) == {"no route"}
            await b.life.delay(outage_s)
            assert (await b.pull()).done["d"].whole
        assert {path: b.node.tree.files()[path] for path in files} == files

    scenario(play, 2)
