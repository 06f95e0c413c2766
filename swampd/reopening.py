"""Opening one cache's workspace, again and again while its store is away.

Keeps true: one attempt at a time, shared by all who ask, and cut off by none of them who goes away.
An attempt that met a trouble of the store is made again by itself, with growing pauses, while
somebody has asked within the last hour, and at once when somebody asks; any other failure ends it.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import structlog

from swampd.domain.health import Health, StoreState
from swampd.errors import Stopping, SwampdError
from swampd.waiting import trouble_of, wait_for

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from swampd.opening import Located
    from swampd.ports import Clock, Rng

FIRST_PAUSE_S: Final = 1.0
LONGEST_PAUSE_S: Final = 15.0
ASKED_WITHIN_S: Final = 3600.0
log = structlog.get_logger()


@dataclass(slots=True)
class Attempt:
    """One try.  Done, it has an error, or the workspace is open."""

    done: asyncio.Event = field(default_factory=asyncio.Event)
    error: SwampdError | None = None


class Opening:
    """A workspace that is to be opened.  `run` is its life."""

    def __init__(
        self, located: Located, clock: Clock, rng: Rng, open_once: Callable[[], Awaitable[None]]
    ) -> None:
        self.located = located
        self._clock = clock
        self._rng = rng
        self._open_once = open_once
        self._attempt = Attempt()
        self._wanted = asyncio.Event()
        self._asked_at = clock.now()
        self._began_ms = clock.wall_ms()
        self._failure: SwampdError | None = None
        self._next_at: float | None = None

    def ask(self) -> Attempt:
        """The try that is under way, or one that begins now."""
        self._asked_at = self._clock.now()
        self._wanted.set()
        return self._attempt

    @property
    def health(self) -> Health:
        """What is known of the store that does not let itself be opened."""
        error = self._failure
        if error is None:
            waiting = "opening it waits for an answer"
            return Health(StoreState.SILENT, waiting, since_ms=self._began_ms)
        ahead = self._next_at
        if ahead is not None:
            ahead = self._clock.wall_ms() + int((ahead - self._clock.now()) * 1000)
        state = trouble_of(error) or StoreState.UNREACHABLE
        next_ms = None if ahead is None else int(ahead)
        return Health(state, error.summary, error.hint, self._began_ms, next_ms)

    def break_off(self) -> None:
        """`run` is cancelled, maybe before it began: whoever waits is told now."""
        self._attempt.error = _broken_off()
        self._attempt.done.set()

    async def run(self) -> None:
        """Try until it is open, cannot be, or nobody asks any more."""
        pause = FIRST_PAUSE_S
        while True:
            error = await self._try()
            if error is None or trouble_of(error) is None:
                return
            if self._failure is None:
                log.warning("not_opened", cache=str(self.located.cache), detail=str(error))
            self._failure = error
            pause_s = self._rng.uniform(pause / 2, pause)
            self._next_at = self._clock.now() + pause_s
            asked = await wait_for(self._wanted, self._clock, pause_s)
            if not asked and self._clock.now() - self._asked_at > ASKED_WITHIN_S:
                log.info("opening_given_up", cache=str(self.located.cache))
                return
            self._next_at = None
            pause = min(pause * 2, LONGEST_PAUSE_S)

    async def _try(self) -> SwampdError | None:
        """One attempt; whoever waits for it is told, even when it is cancelled."""
        attempt = self._attempt
        attempt.error = _broken_off()
        try:
            await self._open_once()
            attempt.error = None
        except SwampdError as error:
            attempt.error = error
        except Exception as error:
            log.exception("opening_broke", cache=str(self.located.cache))
            attempt.error = SwampdError(
                f"the workspace {self.located.cache} could not be opened: {error!r}",
                "see the daemon's log",
            )
        finally:
            self._attempt = Attempt()
            self._wanted.clear()
            attempt.done.set()
        return attempt.error


def _broken_off() -> Stopping:
    return Stopping("opening the workspace was broken off", "run the command again")
