"""Waiting for a store that is away: with growing pauses and jitter, for a bounded time.

Work that is tried again must be safe to repeat: a write that raises did not land (`ports`), and
what was acknowledged is not part of what is repeated.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeVar

from swampd.errors import SwampdError
from swampd.waiting import asked_s, passes

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from swampd.domain.outcomes import WriteOutcome
    from swampd.ports import Clock, Rng

T = TypeVar("T")
FIRST_PAUSE_S: Final = 0.1
LONGEST_PAUSE_S: Final = 3.0


class Patience:
    """How long one piece of work bears with its store: so long from the first failure of each of
    its parts on.  Once one part has run out of it, none of the others waits any more."""

    def __init__(
        self, clock: Clock, rng: Rng, most_s: float, may_go_on: Callable[[], bool] = lambda: True
    ) -> None:
        """`may_go_on`: is there still a use in waiting, such as a lease that stands?"""
        self._clock = clock
        self._rng = rng
        self._most_s = most_s
        self._may_go_on = may_go_on
        self._spent = False

    async def through(self, work: Callable[[], Awaitable[T]], told_within_s: float = 0.0) -> T:
        """What `work` comes to, tried again while its store is away.  Raises its other errors at
        once, and that one when the time is over."""
        wait = self.begin(told_within_s)
        while True:
            try:
                return await work()
            except SwampdError as error:
                if not passes(error) or not await wait.again(error):
                    raise

    def begin(self, told_within_s: float = 0.0) -> Wait:
        """The waiting of one part that begins now, for work that is not simply repeated.

        The trouble that its first failure tells of may be older by `told_within_s`: that counts.
        """
        return Wait(self, told_within_s)

    async def pause(self, began: float, pause_s: float, asked_s: float) -> bool:
        """One pause of a wait that began then; False, at once, when the time is over."""
        left = began + self._most_s - self._clock.now()
        if self._spent or left <= 0 or not self._may_go_on():
            self._spent = True
            return False
        pause = asked_s + self._rng.uniform(pause_s / 2, pause_s)
        await self._clock.sleep(min(pause, left))
        return True

    def now(self) -> float:
        """Local time."""
        return self._clock.now()


class Wait:
    """The pauses of one part of the work."""

    def __init__(self, patience: Patience, told_within_s: float) -> None:
        self._patience = patience
        self._told_within_s = told_within_s
        self._first = patience.now()
        self._began: float | None = None
        self._pause_s = FIRST_PAUSE_S

    async def again(self, answer: SwampdError | WriteOutcome | None = None) -> bool:
        """Pause before the next try, at least as long as the store asks for with its answer; False
        when there is to be none."""
        if self._began is None:
            self._began = max(self._first, self._patience.now() - self._told_within_s)
        pause_s, self._pause_s = self._pause_s, min(self._pause_s * 2, LONGEST_PAUSE_S)
        return await self._patience.pause(self._began, pause_s, asked_s(answer))
