"""The open workspaces of the daemon: opened when first asked for, one for each cache.

Also here: holds whose process has ended are ended (once a second), and losses reach whoever
subscribed (L14).
"""

from __future__ import annotations

import asyncio
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final, TypeVar

import structlog

from swampd import processes
from swampd.errors import Stopping, SwampdError, WorkspaceClash
from swampd.opening import locate, open_workspace

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterator
    from pathlib import Path

    from swampd.locking.holds import Hold
    from swampd.opening import Choice, Located, Opened, World
    from swampd.workspace import Workspace

T = TypeVar("T")
WATCH_S: Final = 1.0
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
        self._opening: dict[Path, asyncio.Lock] = {}
        self._group: asyncio.TaskGroup | None = None
        self._stopping = asyncio.Event()

    async def run(self) -> None:
        """Serve until `stop`; then every workspace ends and frees its leases."""
        async with asyncio.TaskGroup() as group:
            self._group = group
            watcher = group.create_task(self._watch_processes())
            await self._stopping.wait()
            watcher.cancel()
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
            _same_store(served.located, located)
        return served

    async def get(self, choice: Choice) -> Served:
        """The workspace that a client means, opened if need be.

        Raises what `locate` and `open_workspace` raise, WorkspaceClash, and Stopping.
        """
        located = await locate(self.world, choice)
        lock = self._opening.setdefault(located.cache, asyncio.Lock())
        async with lock:
            served = self.at(located)
            if served is None:
                served = await self._open(located)
        await served.workspace.ready.wait()
        if served.failure is not None:
            raise served.failure
        if served.ended:
            raise _stopping()
        return served

    async def _open(self, located: Located) -> Served:
        self._refuse_while_stopping()
        opened = await open_workspace(self.world, located)
        group = self._group
        if group is None or self._stopping.is_set():
            await opened.exit.aclose()
            raise _stopping()
        served = Served(opened)
        self._served[located.cache] = served
        group.create_task(self._live(served), name=f"workspace {located.cache}")
        return served

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


def _same_store(open_one: Located, asked: Located) -> None:
    if open_one.store_place != asked.store_place:
        raise WorkspaceClash(
            f"the cache {asked.cache} is open for {open_one.config.datastore}, not for"
            f" {asked.config.datastore} ({asked.config.datastore.source.value})",
            "use one store for one repoId, or run `swampctl daemon stop` to change it",
            open=str(open_one.config.datastore),
            asked=str(asked.config.datastore),
        )
