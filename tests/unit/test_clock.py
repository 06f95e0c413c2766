"""The machine's clock as a port: never back, suspends counted, sleeps not stretched by them."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

import pytest

from swampd.clock import (
    SLICE_S,
    PessimisticTicks,
    SystemClock,
    read_boot_id,
    suspend_aware_ticks,
)

if TYPE_CHECKING:
    from pathlib import Path

    from swampd.ports import Clock


class Hand:
    """A clock hand that a test moves."""

    def __init__(self, at: float = 100.0) -> None:
        self.at = at

    def __call__(self) -> float:
        return self.at


class Pauses:
    """Stands for the loop's timers: moves the hand by what was asked for, and by suspends."""

    def __init__(self, hand: Hand, suspends: dict[int, float] | None = None) -> None:
        self.hand = hand
        self.suspends = suspends or {}
        self.asked: list[float] = []

    async def __call__(self, seconds: float) -> None:
        self.hand.at += seconds + self.suspends.get(len(self.asked), 0.0)
        self.asked.append(seconds)


def test_it_is_a_clock() -> None:
    clock: Clock = SystemClock()
    first = clock.now()
    assert first <= clock.now()
    assert clock.boot_id == SystemClock().boot_id
    assert clock.wall_ms() > 1_700_000_000_000


def test_on_linux_it_counts_what_the_kernel_counts_in_suspend() -> None:
    before = time.clock_gettime(time.CLOCK_BOOTTIME)
    now = suspend_aware_ticks("linux")()
    assert before <= now <= time.clock_gettime(time.CLOCK_BOOTTIME)


def test_on_macos_it_counts_on_the_clock_that_runs_in_suspend() -> None:
    before = time.clock_gettime(time.CLOCK_MONOTONIC_RAW)
    now = suspend_aware_ticks("darwin")()
    assert before <= now <= time.clock_gettime(time.CLOCK_MONOTONIC_RAW)


def test_elsewhere_it_is_pessimistic() -> None:
    assert isinstance(suspend_aware_ticks("other"), PessimisticTicks)


@pytest.mark.parametrize(
    ("monotonic", "wall", "counted"),
    [(2, 2, 2), (2, 3600, 3600), (2, -50, 2), (0, 0, 0), (0, -50, 0)],
)
def test_the_clock_that_went_further_counts(monotonic: float, wall: float, counted: float) -> None:
    hands = Hand(), Hand(5_000)
    ticks = PessimisticTicks(*hands)
    assert ticks() == 0
    hands[0].at += monotonic
    hands[1].at += wall
    assert ticks() == counted
    hands[0].at += 1
    hands[1].at += 1
    assert ticks() == counted + 1


def test_a_sleep_is_cut_into_slices() -> None:
    hand = Hand()
    pauses = Pauses(hand)
    asyncio.run(SystemClock(hand, pauses).sleep(2.5))
    assert pauses.asked == [SLICE_S, SLICE_S, 0.5]


def test_a_suspend_does_not_stretch_a_sleep() -> None:
    hand = Hand()
    pauses = Pauses(hand, suspends={1: 3600.0})
    asyncio.run(SystemClock(hand, pauses).sleep(60.0))
    assert pauses.asked == [SLICE_S, SLICE_S]


def test_a_timer_that_fires_early_does_not_end_a_sleep() -> None:
    hand = Hand()
    pauses = Pauses(hand, suspends={0: -0.25})
    asyncio.run(SystemClock(hand, pauses).sleep(0.5))
    assert pauses.asked == [0.5, 0.25]


@pytest.mark.parametrize("seconds", [0.0, -1.0])
def test_no_time_at_all_still_lets_others_run(seconds: float) -> None:
    hand = Hand()
    pauses = Pauses(hand)
    asyncio.run(SystemClock(hand, pauses).sleep(seconds))
    assert pauses.asked == [0.0]


def test_a_sleep_can_be_cancelled() -> None:
    async def scenario() -> None:
        async with asyncio.TaskGroup() as group:
            task = group.create_task(SystemClock().sleep(3600))
            await SystemClock().sleep(0)
            task.cancel()
        assert task.cancelled()

    asyncio.run(scenario())


def test_the_boot_id_is_the_kernel_s(tmp_path: Path) -> None:
    file = tmp_path / "boot_id"
    file.write_text("1b2c\n")
    assert read_boot_id(file) == "1b2c"


@pytest.mark.parametrize("content", [None, b"", b"\xff\xfe"])
def test_without_one_each_process_is_a_boot_of_its_own(
    tmp_path: Path, content: bytes | None
) -> None:
    file = tmp_path / "boot_id"
    if content is not None:
        file.write_bytes(content)
    first, second = read_boot_id(file), read_boot_id(file)
    assert first.startswith("process-")
    assert first != second
