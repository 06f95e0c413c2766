"""Virtual time for asyncio: nothing waits, and one seed is one run.

The loop waits for no file: with nothing ready it moves the clock to the next timer.  Tasks hash by
creation order, so that a TaskGroup, which cancels in the order of a set, cancels in the same order
in every run.

No run spins for ever (L11): rounds of the loop are counted, and steps that never give the loop a
turn (`count_step`, called by the ports).  Counts, not wall time: a run that fails fails everywhere.
"""

from __future__ import annotations

import asyncio
import itertools
import types
from collections import deque
from contextvars import Context, copy_context
from heapq import heapify, heappop, heappush
from typing import TYPE_CHECKING, Any, Final, TypeVarTuple

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine, Generator

    _Call = tuple[Context, Callable[..., object], tuple[Any, ...]]

Ts = TypeVarTuple("Ts")

STILL_LIMIT: Final = 100_000
"""So many rounds or steps while virtual time stands still are a spin."""
ROUNDS_LIMIT: Final = 500_000
"""So many rounds in all are one too; a run has about 8,000."""

RESOLUTION_S: Final = 1e-9
"""Timers that are due within it go off together."""
LONGEST_PAUSE_S: Final = 24 * 3600.0
FEW_TIMERS: Final = 100
MANY_DROPPED: Final = 0.5
"""Of more than so many timers so large a part is cancelled: all such are dropped.  This, and the
longest pause, are asyncio's."""


class Deadlock(AssertionError):
    """Nothing is ready and nothing is scheduled: somebody waits for ever."""


class Livelock(Deadlock):
    """Somebody is busy for ever."""


class _Handle(asyncio.TimerHandle):
    """What is to be called, in the next round or at a time."""

    __slots__ = ("call", "context", "dropped", "given", "scheduled", "virtual")

    def __init__(
        self,
        loop: VirtualLoop,
        call: Callable[..., object],
        given: tuple[Any, ...],
        context: Context | None,
        *,
        scheduled: bool,
    ) -> None:
        self.virtual = loop
        self.call: Callable[..., object] | None = call
        self.given = given
        self.context = copy_context() if context is None else context
        self.scheduled = scheduled
        self.dropped = False

    def is_dropped(self) -> bool:
        """Was it cancelled?"""
        return self.dropped

    def cancel(self) -> None:
        if not self.dropped:
            self.dropped = True
            self.call, self.given = None, ()
            self.virtual.dropped += self.scheduled

    def cancelled(self) -> bool:
        return self.dropped

    def __repr__(self) -> str:
        return f"<call of {self.call}>"

    # In the heap times alone count, as in asyncio; these are asked between two equal ones.
    __hash__ = object.__hash__
    __eq__ = object.__eq__

    def __lt__(self, _other: object) -> bool:
        return False


class _Sleep:
    """A timer of `sleep`: dropped when whoever slept was cancelled."""

    __slots__ = ("is_dropped", "over")

    def __init__(self, over: asyncio.Future[None]) -> None:
        self.over = over
        self.is_dropped = over.done

    def __lt__(self, _other: object) -> bool:
        return False


class _Step(asyncio.Handle):
    """The handle of all steps of tasks and callbacks of futures, which nobody ever cancels: they
    are most of what is called, and need no object each."""

    __slots__ = ()

    def __init__(self) -> None:
        """One for all of them."""

    def cancel(self) -> None:
        raise RuntimeError("a call with a context of its own cannot be cancelled")

    def __repr__(self) -> str:
        return "<step>"


_STEP: Final = _Step()


class _OrderedTask(asyncio.Task[Any]):
    """A task whose hash is its number."""

    _numbers = itertools.count()

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._number = next(self._numbers)
        super().__init__(*args, **kwargs)

    def __hash__(self) -> int:
        return self._number

    def __eq__(self, other: object) -> bool:
        return self is other


class VirtualLoop(asyncio.BaseEventLoop):
    """An event loop whose time is moved by its timers alone.

    Calls come in the order that asyncio's own loop has, to the last tie.
    """

    _stopping: bool

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.rounds = 0
        """So many rounds it went."""
        self.dropped = 0
        """So many of the timers in the heap are cancelled."""
        self._guarded = True
        self._still = 0
        self._soon: deque[_Handle | _Call] = deque()
        self._timers: list[tuple[float, _Handle | _Sleep]] = []
        _OrderedTask._numbers = itertools.count()
        self.set_task_factory(_make_task)
        # Asked at each future and task that is made: answered without a frame of Python.
        self.get_debug = bool  # type: ignore[method-assign]

    def time(self) -> float:
        return self.now

    def call_soon(
        self, callback: Callable[[*Ts], object], *args: *Ts, context: Context | None = None
    ) -> asyncio.Handle:
        if context is not None:
            self._soon.append((context, callback, args))
            return _STEP
        handle = _Handle(self, callback, args, context, scheduled=False)
        self._soon.append(handle)
        return handle

    def call_at(
        self,
        when: float,
        callback: Callable[[*Ts], object],
        *args: *Ts,
        context: Context | None = None,
    ) -> _Handle:
        handle = _Handle(self, callback, args, context, scheduled=True)
        heappush(self._timers, (when, handle))
        return handle

    def call_later(
        self,
        delay: float,
        callback: Callable[[*Ts], object],
        *args: *Ts,
        context: Context | None = None,
    ) -> _Handle:
        return self.call_at(self.now + delay, callback, *args, context=context)

    def sleep(self, seconds: float) -> Awaitable[None]:
        """As asyncio's, in virtual time; it wakes its task in the round in which it is over."""
        if seconds <= 0:
            return _next_round()
        over: asyncio.Future[None] = asyncio.Future(loop=self)
        heappush(self._timers, (self.now + seconds, _Sleep(over)))
        return over

    def count_step(self) -> None:
        """One more round, or a port was asked something that takes no time; raises Livelock beyond
        the limits (and then in every round)."""
        if not self._guarded:
            return
        self._still += 1
        if self._still > STILL_LIMIT or self.rounds > ROUNDS_LIMIT:
            self._end_spin()

    def _end_spin(self) -> None:
        if self._still > STILL_LIMIT:
            raise Livelock(f"{self._still} rounds at {self.now:.3f} s and time does not move")
        raise Livelock(f"{self.rounds} rounds, and no end at {self.now:.3f} s")

    def unguard(self) -> None:
        """The run is over: what is left is cancelled, in bounded rounds."""
        self._guarded = False

    def _run_once(self) -> None:
        """Rounds, until the loop is stopped."""
        soon = self._soon
        take = soon.popleft
        while True:
            self._begin_round()
            for _ in range(len(soon)):
                each = take()
                if isinstance(each, tuple):
                    context, call, given = each
                elif each.call is not None:
                    context, call, given = each.context, each.call, each.given
                else:
                    continue
                try:
                    context.run(call, *given)
                except (SystemExit, KeyboardInterrupt):
                    raise
                except BaseException as error:  # noqa: BLE001 - as every loop does
                    told = {"message": f"<call of {call}>", "exception": error}
                    self.call_exception_handler(told)
            if self._stopping:
                return

    def _begin_round(self) -> None:
        """Move the clock to the next timer, if nothing is ready now; what is due is called."""
        timers = self._timers
        if timers and (len(timers) > FEW_TIMERS or timers[0][1].is_dropped()):
            timers = self._clear_timers()
        pause = 0.0
        if not self._soon:
            if not timers:
                raise Deadlock("nothing is ready and nothing is scheduled")
            pause = min(max(timers[0][0] - self.now, 0.0), LONGEST_PAUSE_S)
        self.rounds += 1
        if pause > 0:
            self._still = 0
        self._still += 1
        if self._guarded and (self._still > STILL_LIMIT or self.rounds > ROUNDS_LIMIT):
            self._end_spin()
        self.now += pause
        if timers and timers[0][0] < self.now + RESOLUTION_S:
            self._take_timers(timers)

    def _take_timers(self, timers: list[tuple[float, _Handle | _Sleep]]) -> None:
        """What is due is called in this round."""
        end = self.now + RESOLUTION_S
        while timers and timers[0][0] < end:
            due = heappop(timers)[1]
            if isinstance(due, _Sleep):
                if not due.over.done():
                    due.over.set_result(None)  # this appends the step of who waits
            else:
                due.scheduled = False
                self._soon.append(due)

    def _clear_timers(self) -> list[tuple[float, _Handle | _Sleep]]:
        """Drop cancelled timers, when they are many or first; those that are left."""
        timers = self._timers
        if len(timers) > FEW_TIMERS and self.dropped / len(timers) > MANY_DROPPED:
            self._timers = [timer for timer in timers if not timer[1].is_dropped()]
            heapify(self._timers)
            self.dropped = 0
            return self._timers
        while timers and timers[0][1].is_dropped():
            dropped = heappop(timers)[1]
            self.dropped -= isinstance(dropped, _Handle)
        return timers


def running_loop() -> VirtualLoop:
    """The loop of this run."""
    loop = asyncio.get_running_loop()
    if not isinstance(loop, VirtualLoop):
        raise TypeError("not in virtual time")
    return loop


@types.coroutine
def _next_round() -> Generator[None, None, None]:
    yield


def _make_task(
    loop: asyncio.AbstractEventLoop,
    coro: Coroutine[Any, Any, Any] | Generator[Any, None, Any],
    **kwargs: Any,
) -> asyncio.Task[Any]:
    return _OrderedTask(coro, loop=loop, **kwargs)


def run(main: Coroutine[Any, Any, Any]) -> Any:
    """Run to the end in virtual time."""
    loop = VirtualLoop()
    asyncio.set_event_loop(loop)
    try:
        return loop.run_until_complete(main)
    finally:
        loop.unguard()
        for _ in range(5):
            for task in sorted(asyncio.all_tasks(loop), key=hash):
                task.cancel()
            loop.run_until_complete(_settle())
        loop.close()
        asyncio.set_event_loop(None)


async def _settle() -> None:
    for _ in range(50):
        await asyncio.sleep(0)
