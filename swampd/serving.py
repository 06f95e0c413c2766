"""The open workspaces of the daemon: opened when first asked for, one for each cache.

One whose store is away is opened when it is back (`reopening.py`).  Also here: holds whose process
has ended are ended (once a second), and losses reach whoever subscribed (L14).
"""

from __future__ import annotations

import asyncio
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final, TypeVar

import structlog

from swampd import processes
from swampd.clashes import means_another, refuse_clash
from swampd.domain.health import Health, StoreState
from swampd.errors import Stopping, StoreUnavailable, SwampdError
from swampd.minding import mind
from swampd.opening import locate, open_workspace
from swampd.reopening import Opening
from swampd.waiting import trouble_of, wait_for

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterator
    from pathlib import Path

    from swampd.locking.holds import Hold
    from swampd.opening import Choice, Located, Opened, World
    from swampd.reopening import Attempt
    from swampd.workspace import Workspace

T = TypeVar("T")
WATCH_S: Final = 1.0
OPEN_S: Final = 60.0
"""So long a request waits for one attempt to open its workspace."""
FIRST_PAUSE_S: Final = 0.5
LONGEST_PAUSE_S: Final = 5.0
"""A request that waits for its store asks again after so long, with jitter."""
_WAITED_OUT: Final = frozenset({StoreState.UNREACHABLE, StoreState.THROTTLED, StoreState.SILENT})
"""What a request waits for.  Credentials are for a person to see to, who is told at once."""
STREAM: Final = "stream"
"""`life["kind"]` of a hold that is bound to a client's stream."""
log = structlog.get_logger()


class Served:
    """One open workspace."""

    def __init__(self, opened: Opened) -> None:
        self.opened = opened
        self.located = opened.located
        self.attached: set[str] = set()
        """Ids of the streams that are open and have, or wait for, a hold of their own."""
        self.failure: SwampdError | None = None
        self.ended = False
        self._subscribers: dict[object, Callable[[Hold], None]] = {}
        self.workspace.holds.on_loss(self._tell)

    @property
    def workspace(self) -> Workspace:
        """The engine."""
        return self.opened.workspace

    @contextmanager
    def losses(self, listener: Callable[[Hold], None]) -> Iterator[None]:
        """Call `listener` for each hold that is lost inside the block."""
        key = object()
        self._subscribers[key] = listener
        try:
            yield
        finally:
            del self._subscribers[key]

    def _tell(self, hold: Hold) -> None:
        for listener in tuple(self._subscribers.values()):
            listener(hold)


class Workspaces:
    """Everything that this daemon serves.  `run` is its life."""

    def __init__(self, world: World) -> None:
        self.world = world
        self._served: dict[Path, Served] = {}
        self._openings: dict[Path, Opening] = {}
        self._tries: dict[Opening, asyncio.Task[None]] = {}
        self._group: asyncio.TaskGroup | None = None
        self._stopping = asyncio.Event()

    async def run(self) -> None:
        """Serve until `stop`; then every workspace ends and frees its leases."""
        async with asyncio.TaskGroup() as group:
            self._group = group
            watcher = group.create_task(self._watch_processes())
            await self._stopping.wait()
            watcher.cancel()
            for task in self._tries.values():
                task.cancel()
            for served in self._served.values():
                served.workspace.stop()

    def start(self, work: Coroutine[object, object, T]) -> asyncio.Task[T]:
        """Run work that may be cancelled and never raises, in the daemon's own group.

        Raises Stopping.
        """
        if self._group is None or self._stopping.is_set():
            work.close()
            raise _stopping()
        return self._group.create_task(work)

    def stop(self) -> None:
        """End all workspaces; no request is taken any more."""
        self._stopping.set()

    def all(self) -> tuple[Served, ...]:
        """The open ones."""
        return tuple(self._served.values())

    def at(self, located: Located) -> Served | None:
        """The open workspace of a cache, if there is one.  Raises WorkspaceClash."""
        served = self._served.get(located.cache)
        if served is not None:
            refuse_clash(served.located, located)
        return served

    def unopened(self) -> tuple[Opening, ...]:
        """Those that were asked for and are not open, for their stores are away."""
        return tuple(self._openings.values())

    def health(self, located: Located) -> Health:
        """What is known of the store of a workspace, open or not."""
        served, opening = self._served.get(located.cache), self._openings.get(located.cache)
        if served is not None:
            return served.opened.store.health
        return opening.health if opening is not None else Health()

    async def get(self, choice: Choice) -> Served:
        """The workspace that a client means, opened if need be.

        Raises what `locate` and `open_workspace` raise, WorkspaceClash, and Stopping.
        """
        return await self.serve(await locate(self.world, choice), 0.0)

    async def serve(self, located: Located, wait_s: float) -> Served:
        """The same; a store that is away is waited for, so many seconds."""
        clock, rng = self.world.clock, self.world.rng
        until, pause = clock.now() + wait_s, FIRST_PAUSE_S
        while True:
            served = self._ready(located)
            if served is not None:
                return served
            attempt = self._ask(located)
            if not await wait_for(attempt.done, clock, OPEN_S):
                raise _too_slow(located)
            error = attempt.error
            if error is None or self._goes_on(error, located):
                continue
            left = until - clock.now()
            if left <= 0 or trouble_of(error) not in _WAITED_OUT:
                raise error
            await clock.sleep(min(rng.uniform(pause / 2, pause), left))
            pause = min(pause * 2, LONGEST_PAUSE_S)

    async def look(self, choice: Choice, patience_s: float) -> Served | Opening:
        """The workspace that a client means, or its opening if that takes longer or its store is
        away.  Raises as `get`."""
        located = await locate(self.world, choice)
        served = self._ready(located)
        if served is not None:
            return served
        until = self.world.clock.now() + patience_s
        while True:
            attempt = self._ask(located)
            opening = self._openings[located.cache]
            left = until - self.world.clock.now()
            in_time = await wait_for(attempt.done, self.world.clock, left)
            if not in_time or attempt.error is None or not self._goes_on(attempt.error, located):
                break
        if (
            attempt.done.is_set()
            and attempt.error is not None
            and trouble_of(attempt.error) is None
        ):
            raise attempt.error
        return self._ready(located) or opening

    def _goes_on(self, error: SwampdError, located: Located) -> bool:
        """Was this try broken off for one that serves this client as well?"""
        if not isinstance(error, Stopping) or self._stopping.is_set():
            return False
        opening = self._openings.get(located.cache)
        return opening is None or not means_another(opening.located, located)

    def _ready(self, located: Located) -> Served | None:
        """The open workspace of a cache, once it serves."""
        served = self.at(located)
        return served if served is not None and served.workspace.ready.is_set() else None

    def _ask(self, located: Located) -> Attempt:
        """Have it opened, now.  Raises Stopping."""
        opening = self._openings.get(located.cache)
        if opening is not None and means_another(opening.located, located):
            self._tries.pop(opening).cancel()
            opening.break_off()
            opening = None
        if opening is None:
            opening = Opening(
                located, self.world.clock, self.world.rng, lambda: self._open(located)
            )
            self._tries[opening] = self.start(self._keep_opening(opening))
            self._openings[located.cache] = opening
        return opening.ask()

    async def _keep_opening(self, opening: Opening) -> None:
        cache = opening.located.cache
        try:
            await opening.run()
        finally:
            self._tries.pop(opening, None)
            if self._openings.get(cache) is opening:
                del self._openings[cache]

    async def _open(self, located: Located) -> None:
        self._refuse_while_stopping()
        opened = await open_workspace(self.world, located)
        group = self._group
        if group is None or self._stopping.is_set():
            await opened.exit.aclose()
            raise _stopping()
        served = Served(opened)
        self._served[located.cache] = served
        group.create_task(self._live(served), name=f"workspace {located.cache}")
        await served.workspace.ready.wait()
        if served.failure is not None:
            raise served.failure
        if served.ended:
            raise _stopping()
        ports, world = served.workspace.ports, self.world
        served.workspace.spawn(mind(opened.store, ports.keys, world.clock, world.rng), "mind_store")

    def _refuse_while_stopping(self) -> None:
        if self._stopping.is_set():
            raise _stopping()

    async def _live(self, served: Served) -> None:
        workspace = served.workspace
        try:
            await workspace.run()
        except* SwampdError as group:
            served.failure = _first(group)
            log.warning("workspace_failed", error=served.failure.code, detail=str(served.failure))
        except* Exception as group:
            served.failure = SwampdError(
                f"the workspace {served.located.cache} broke: {group.exceptions[0]!r}",
                "see the daemon's log",
            )
            log.exception("workspace_broke", cache=str(served.located.cache))
        finally:
            served.ended = True
            self._served.pop(served.located.cache, None)
            workspace.ready.set()
            await served.opened.exit.aclose()

    # --- holds and processes ------------------------------------------------------------------

    async def _watch_processes(self) -> None:
        while True:
            await self.world.clock.sleep(WATCH_S)
            for served in self.all():
                for hold in served.workspace.holds:
                    reason = self._over(served, hold)
                    if reason:
                        log.info("hold_ended", scopes=hold.scopes, reason=reason)
                        served.workspace.spawn(served.workspace.release(hold), "hold_end")

    def _over(self, served: Served, hold: Hold) -> str:
        """Why a hold ends now; empty: it goes on."""
        if hold.life.get("kind") == STREAM:
            if hold.life["stream"] in served.attached:
                return ""
            # Recovered after a crash: its client relies on the deadline that it was last told.
            until = hold.life.setdefault("until", hold.deadline)
            return STREAM if self.world.clock.now() >= until else ""
        process = processes.from_row(hold.life)
        if process is not None and processes.is_gone(process, self.world.instance.boot_id):
            return process.kind
        return ""


def _first(group: BaseExceptionGroup[SwampdError]) -> SwampdError:
    found = group.exceptions[0]
    return _first(found) if isinstance(found, BaseExceptionGroup) else found


def _stopping() -> Stopping:
    return Stopping("the daemon is going down", "run the command again")


def _too_slow(located: Located) -> StoreUnavailable:
    return StoreUnavailable(
        f"the workspace {located.cache} is not open after {OPEN_S:.0f} s",
        "its store is slow to answer: see `swampctl status`, and try again",
    )
