"""Room for bytes: never more than it has, in the order of coming, and given back by who is gone.
Turns to write: an interval lies between any two, whatever the clock did meanwhile."""

from __future__ import annotations

import asyncio

from swampd.domain.values import BootId
from swampd.waiting import Pace, Room


async def turn() -> None:
    """Everybody else comes to their turn."""
    done = asyncio.Event()
    asyncio.get_running_loop().call_soon(done.set)
    await done.wait()


def test_no_more_is_held_than_there_is_room_for() -> None:
    async def main() -> None:
        room = Room(10)
        held = most = 0
        order: list[int] = []

        async def one(number: int, size: int) -> None:
            nonlocal held, most
            async with room.hold(size):
                order.append(number)
                held += min(size, 10)
                most = max(most, held)
                for _ in range(3):
                    await turn()
                held -= min(size, 10)

        async with asyncio.TaskGroup() as group:
            for number, size in enumerate([4, 4, 4, 99, 1, 0, 10, 2]):
                group.create_task(one(number, size))
        assert most == 10
        assert order == sorted(order)

    asyncio.run(main())


def test_who_is_cancelled_gives_its_place_back() -> None:
    async def main() -> None:
        room = Room(10)

        async def one(size: int) -> None:
            async with room.hold(size):
                await asyncio.Event().wait()

        async with asyncio.TaskGroup() as group:
            first = group.create_task(one(10))
            second = group.create_task(one(10))
            third = group.create_task(one(10))
            await turn()
            second.cancel()
            await turn()
            first.cancel()
            await turn()
            third.cancel()  # it has just been given its turn
        async with asyncio.timeout(1), room.hold(10):
            pass

    asyncio.run(main())


class _SuspendedClock:
    """Whoever sleeps wakes up after a suspend, all at the same time."""

    boot_id = BootId("boot")

    def __init__(self) -> None:
        self.time = -7.0
        self.slept: list[float] = []

    def now(self) -> float:
        return self.time

    def wall_ms(self) -> int:
        return 0

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        first = len(self.slept) <= 2
        await turn()
        self.time = max(self.time, 60.0 if first else self.time + seconds)


def test_an_interval_lies_between_two_writes_after_a_suspend_too() -> None:
    async def main() -> None:
        clock = _SuspendedClock()
        pace, sent = Pace(clock, 1.0), []

        async def one() -> None:
            await pace.turn("k")
            sent.append(clock.time)

        async with asyncio.TaskGroup() as group:
            for _ in range(3):
                group.create_task(one())
        assert sent == [-7.0, 60.0, 61.0]

    asyncio.run(main())
