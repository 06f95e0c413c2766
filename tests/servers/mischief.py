"""What can be done to a request on its way, and the rules that say to which."""

from __future__ import annotations

import asyncio
import random
from contextlib import suppress
from dataclasses import dataclass, field
from threading import Condition
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from tests.servers.refusals import Asked, Match, Refusal

LIMIT_S: Final = 60.0


@dataclass(frozen=True, slots=True)
class Delay:
    """The request takes longer; it meets the other rules too."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Hold:
    """The request waits for `Rule.release`; then it meets the other rules too."""


@dataclass(frozen=True, slots=True)
class Cut:
    """The connection ends before the server sees the request."""


@dataclass(frozen=True, slots=True)
class DropReply:
    """The server does what it was asked; then the connection ends."""

    let_through: int | None = None
    """The head of the answer and so many bytes of its body still arrive; None: nothing does."""


@dataclass(frozen=True, slots=True)
class ApplyLate:
    """The connection ends before the server sees the request, which reaches it all the same: at
    `Rule.release`."""


@dataclass(frozen=True, slots=True)
class Answer:
    """An error in the server's place, which does not see the request."""

    refusal: Refusal


Action = Delay | Hold | Cut | DropReply | ApplyLate | Answer


@dataclass(eq=False)
class Rule:
    """Does `action` to the requests that `match`: to `times` of them, or with `probability`."""

    match: Match
    action: Action
    times: int | None = None
    probability: float = 1.0
    fired: int = 0
    released: bool = False
    news: Condition = field(default_factory=Condition, repr=False)
    wakers: list[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = field(default_factory=list)

    def wait(self, times: int = 1) -> None:
        """Until it was done so often."""
        with self.news:
            if not self.news.wait_for(lambda: self.fired >= times, LIMIT_S):
                raise AssertionError(f"in {LIMIT_S} s only {self.fired} of {times}: {self}")

    def release(self) -> None:
        """Let go what waits, and whatever this rule meets from now on."""
        with self.news:
            self.released = True
            for loop, event in self.wakers:
                with suppress(RuntimeError):  # the proxy has ended
                    loop.call_soon_threadsafe(event.set)

    async def until_released(self) -> None:
        """On the proxy's loop."""
        event = asyncio.Event()
        with self.news:
            if self.released:
                return
            self.wakers.append((asyncio.get_running_loop(), event))
        await event.wait()

    def try_fire(self, asked: Asked, chance: random.Random) -> bool:
        """Whether this request is due for it; counts it then."""
        if not self.match.fits(asked):
            return False
        with self.news:
            if self.times is not None and self.fired >= self.times:
                return False
            if self.probability < 1 and chance.random() >= self.probability:
                return False
            self.fired += 1
            self.news.notify_all()
            return True


class Rules:
    """The rules in force; they may change at any time, from any thread."""

    def __init__(self, seed: int) -> None:
        self._chance = random.Random(seed)
        self._rules: tuple[Rule, ...] = ()

    def add(self, rule: Rule) -> None:
        """After those that are there."""
        self._rules = (*self._rules, rule)

    def remove(self, rule: Rule) -> None:
        """Forget it, and let go what it held."""
        self._rules = tuple(one for one in self._rules if one is not rule)
        rule.release()

    def clear(self) -> None:
        """Forget all of them."""
        for rule in self._rules:
            self.remove(rule)

    def due(self, asked: Asked) -> list[Rule]:
        """What to do to this request, in order: any waiting, and at most one other thing."""
        found: list[Rule] = []
        for rule in self._rules:
            if rule.try_fire(asked, self._chance):
                found.append(rule)
                if not isinstance(rule.action, Delay | Hold):
                    break
        return found
