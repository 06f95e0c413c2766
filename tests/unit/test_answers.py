"""Answers are remembered for ten minutes."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from swampd.answers import KEPT_S, Answers
from swampd.domain.values import BootId
from swampd.journal.database import open_journal

if TYPE_CHECKING:
    from pathlib import Path


class Stopped:
    """A clock that goes when told."""

    def __init__(self) -> None:
        self.at = 1000.0

    boot_id = BootId("boot")

    def now(self) -> float:
        return self.at

    def wall_ms(self) -> int:
        return int(self.at * 1000)

    async def sleep(self, seconds: float) -> None:
        self.at += seconds


class Counter:
    """Work that counts how often it is done."""

    def __init__(self) -> None:
        self.done = 0

    async def __call__(self) -> bytes:
        self.done += 1
        return b"%d" % self.done


def test_a_repeated_request_is_answered_and_not_done() -> None:
    async def scenario() -> None:
        answers, work = Answers(Stopped()), Counter()
        assert await answers.once("M", "id", work) == b"1"
        assert await answers.once("M", "id", work) == b"1"
        assert await answers.once("M", "other", work) == b"2"
        assert await answers.once("N", "id", work) == b"3"

    asyncio.run(scenario())


def test_a_request_without_an_id_is_always_done() -> None:
    async def scenario() -> None:
        answers, work = Answers(Stopped()), Counter()
        assert [await answers.once("M", "", work) for _ in range(2)] == [b"1", b"2"]

    asyncio.run(scenario())


def test_an_answer_is_forgotten_after_ten_minutes() -> None:
    async def scenario() -> None:
        clock, work = Stopped(), Counter()
        answers = Answers(clock)
        await answers.once("M", "id", work)
        clock.at += KEPT_S + 1
        assert await answers.once("M", "id", work) == b"2"

    asyncio.run(scenario())


def test_two_at_once_share_one_answer() -> None:
    async def scenario() -> None:
        answers, done = Answers(Stopped()), 0
        may_end = asyncio.Event()

        async def work() -> bytes:
            nonlocal done
            done += 1
            await may_end.wait()
            return b"x"

        async with asyncio.TaskGroup() as group:
            first = group.create_task(answers.once("M", "id", work))
            second = group.create_task(answers.once("M", "id", work))
            await asyncio.wait((first,), timeout=0)
            may_end.set()
        assert (first.result(), second.result(), done) == (b"x", b"x", 1)

    asyncio.run(scenario())


def test_what_failed_may_be_tried_again() -> None:
    async def scenario() -> None:
        answers = Answers(Stopped())

        async def fail() -> bytes:
            raise ValueError("no")

        with pytest.raises(ValueError, match="no"):
            await answers.once("M", "id", fail)
        assert await answers.once("M", "id", Counter()) == b"1"

    asyncio.run(scenario())


def test_an_answer_in_the_journal_outlives_the_daemon(tmp_path: Path) -> None:
    async def scenario() -> None:
        clock, work = Stopped(), Counter()
        journal, _ = open_journal(tmp_path / "j.db")
        await Answers(clock).once("M", "id", work, journal)
        assert await Answers(clock).once("M", "id", work, journal) == b"1"
        clock.at += KEPT_S + 1
        assert await Answers(clock).once("M", "id", work, journal) == b"2"
        await journal.close()

    asyncio.run(scenario())
