"""One served repo, wired together: a cache, a datastore, a journal, and what clients ask of them.

The only place where locking, indexing and syncing meet.  The daemon gives it real ports, the
simulator simulated ones; nothing here knows which.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import structlog

from swampd.domain import leases, scopes
from swampd.domain.levels import Want
from swampd.domain.paths import PathProblem, parse_scope
from swampd.domain.sizes import SIZES, Sizes
from swampd.errors import BadRequest, SwampdError
from swampd.indexing.declaring import DeclaredMeanwhile
from swampd.indexing.manifests import Manifests
from swampd.indexing.reading import HeadReader
from swampd.indexing.writing import HeadWriter
from swampd.locking.book import LockBook
from swampd.locking.cas import Writer
from swampd.locking.holds import Hold, Holds, Owner
from swampd.locking.keeper import Keeper
from swampd.locking.recovery import recover_leases
from swampd.operation import operation
from swampd.syncing import ledger
from swampd.syncing.asking import TOLD_WITHIN_S, Asking
from swampd.syncing.background import Background, WatchedJournal
from swampd.syncing.context import Sync
from swampd.syncing.desk import Desks
from swampd.syncing.granting import Granter, Terms
from swampd.syncing.patience import Patience
from swampd.syncing.pulling import LEAST_FREE, Pulled
from swampd.syncing.scoping import Named, ScopeNames, outermost
from swampd.waiting import Pace

if TYPE_CHECKING:
    from collections.abc import Coroutine, Iterable

    from swampd.domain.layout import Keys
    from swampd.domain.leases import Identity
    from swampd.domain.values import DatastoreId, Epoch, Scope
    from swampd.ports import Clock, FileTree, Journal, ObjectStore, Rng, Threads
    from swampd.syncing.pushing import Pushed

TICK_S: Final = 5.0
"""How often holds are looked at that end by themselves, while there are any."""
FOR_A_CALLER: Final = frozenset({"lock_obtain"})
"""Background tasks that work for the operation that began them."""
log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Ports:
    """The world of one workspace."""

    store: ObjectStore
    keys: Keys
    journal: Journal
    tree: FileTree
    clock: Clock
    rng: Rng
    threads: Threads
    sizes: Sizes = SIZES


@dataclass(frozen=True, slots=True)
class Asker:
    """Who asks, and how: the hold's token if it shows one, and how long it waits for locks."""

    owner: Owner
    token: str | None = None
    wait_s: float = 60.0


@dataclass(slots=True)
class Outcome:
    """What became of a push or pull of several scopes."""

    done: dict[Scope, Pushed | Pulled] = field(default_factory=dict)
    failed: dict[Scope, SwampdError] = field(default_factory=dict)


class _Stopped(Exception):
    """The workspace was told to end."""


class Workspace:
    """Serves one cache.  `run` is its life; everything else may be called while it runs."""

    def __init__(
        self,
        ports: Ports,
        identity: Identity,
        datastore_id: DatastoreId,
        name: str,
        least_free: int = LEAST_FREE,
    ) -> None:
        self.ports = ports
        self.name = name
        self.identity = identity
        store, keys, journal = ports.store, ports.keys, WatchedJournal(ports.journal)
        clock, rng, threads = ports.clock, ports.rng, ports.threads
        pace = Pace(clock, store.capabilities.least_write_interval_s)
        writer = Writer(store, clock, rng, pace)
        self.book = LockBook(store, keys, journal, clock, rng, writer)
        self.manifests = Manifests(store, keys, journal, threads, clock, rng)
        self.reader = HeadReader(store, keys, journal, self.manifests, datastore_id)
        writer_name = f"{identity.holder} {identity.daemon}"
        self.writer = HeadWriter(
            writer, keys, journal, rng, self.reader, self.manifests, writer_name
        )
        self.keeper = Keeper(self.book, clock, rng, identity, self.spawn)
        sync = Sync(
            store,
            keys,
            journal,
            ports.tree,
            clock,
            rng,
            threads,
            self.reader,
            self.writer,
            self.manifests,
            pace,
            name,
            ports.sizes,
        )
        self.desks = Desks(sync, self.keeper, least_free)
        self.background = Background(sync, self.desks, journal)
        self.holds = Holds(journal)
        self.holds.on_loss(self._give_back_lost)
        self.names = ScopeNames(sync)
        self._granter = Granter(sync, self.keeper, self.holds, self.desks, self.names)
        self._group: asyncio.TaskGroup | None = None
        self._stopping = asyncio.Event()
        self.ready = asyncio.Event()

    # --- life ---------------------------------------------------------------------------------

    async def run(self) -> None:
        """Recover, then serve until `stop`.  Background work lives inside this call."""
        try:
            async with asyncio.TaskGroup() as group:
                self._group = group
                await self.background.recover()
                await recover_leases(
                    self.book, self.keeper, self.holds, self.ports, self._has_unanswered
                )
                self.ready.set()
                group.create_task(self.background.run(self._guarded))
                group.create_task(self._end_holds_in_time())
                await self._stopping.wait()
                await self.keeper.stop()
                self._end()
        except* _Stopped:
            log.info("workspace_stopped", workspace=self.name)
        finally:
            self._group = None

    async def _has_unanswered(self, epoch: Epoch) -> bool:
        return await self.ports.journal.read(lambda tx: ledger.open_under(tx, epoch))

    @staticmethod
    def _end() -> None:
        raise _Stopped

    def stop(self) -> None:
        """End `run`: leases are freed, background work is cancelled."""
        self._stopping.set()

    def spawn(self, work: Coroutine[object, object, None], name: str) -> bool:
        """Run background work inside `run`; its failure is logged and never ends the workspace.
        False: the workspace has ended, and nothing runs."""
        guarded = self._guarded(work, name)
        try:
            task = self._running().create_task(guarded, name=name)
        except RuntimeError:
            guarded.close()
            work.close()
            return False
        # One that is cancelled before its first step never began with the work.
        task.add_done_callback(lambda _: work.close())
        return True

    def _running(self) -> asyncio.TaskGroup:
        if self._group is None:
            raise RuntimeError("the workspace is not running")
        return self._group

    async def _guarded(self, work: Coroutine[object, object, None], name: str) -> None:
        try:
            if name in FOR_A_CALLER:
                await work
            else:
                with operation(name):
                    await work
        except SwampdError as error:
            log.warning("background_failed", task=name, error=error.code, detail=error.summary)
        except Exception:
            log.exception("background_broke", task=name)

    async def _end_holds_in_time(self) -> None:
        while True:
            await self.holds.bounded.wait()
            await self.ports.clock.sleep(TICK_S)
            await self._guarded(self._end_old_holds(), "max_hold")

    async def _end_old_holds(self) -> None:
        now = self.ports.clock.now()
        for hold in self.holds:
            if hold.ends_at is not None and now >= hold.ends_at:
                log.info("hold_ended", scopes=hold.scopes, reason="max_hold")
                await self.release(hold)

    # --- locks --------------------------------------------------------------------------------

    async def lock(
        self,
        raw: Iterable[str],
        asker: Asker,
        *,
        ttl_ms: int = leases.DEFAULT_TTL_MS,
        purpose: str = "",
        pull: bool = True,
        max_hold_s: float | None = None,
        life: dict[str, Any] | None = None,
    ) -> Hold:
        """Acquire, claim and (unless told not to) pull; a hold that is journalled and granted.

        Raises errors.BadRequest, AlreadyHeld, LockTimeout, LockBusy, LockLost, StoreUnavailable.
        """
        asked = [self._scope(text, allow_all=True) for text in raw]
        terms = Terms(asker.wait_s, ttl_ms, purpose, max_hold_s, life or {})
        hold = await self._patience(asker).through(
            lambda: self._granter.grant(asked, asker.owner, terms), TOLD_WITHIN_S
        )
        try:
            if pull:
                await self._granter.bring_up(hold)
        except BaseException:
            await self.release(hold)
            raise
        return hold

    async def release(self, hold: Hold) -> None:
        """End a hold.  Its leases linger for a moment, then are freed; ending it twice is fine."""
        if not self.holds.has(hold):
            return
        if hold.lost is None:
            self.keeper.give_back(hold.grant)
        await self.holds.end(hold)

    def _give_back_lost(self, hold: Hold) -> None:
        """A lost hold leaves the local queue at once, whenever its owner is told."""
        self.keeper.give_back(hold.grant)

    # --- sync ---------------------------------------------------------------------------------

    async def push(
        self, raw: Iterable[str] | None, asker: Asker, *, allow_deletes: bool = False
    ) -> Outcome:
        """Push these scopes, or every scope; one that fails does not stop the others."""
        named = await self._named(raw, local=True)
        asking = await self._asking(asker, {n.scope for n in named}, "push")
        outcome = Outcome()
        for name in named:
            try:
                declared = partial(self._declared, name, asking)
                for scope in await asking.through(declared):
                    done = await self.desks.push(scope, asking, allow_deletes=allow_deletes)
                    outcome.done[scope] = done
            except SwampdError as error:
                outcome.failed[name.scope] = error
        return outcome

    async def _declared(self, name: Named, asking: Asking) -> list[Scope]:
        """The scope to push, declared; or what it means since somebody has declared another one
        around or inside it."""
        if name.to_declare:
            try:
                await self._declare_for_push(name.scope, asking)
            except DeclaredMeanwhile:
                return [one.scope for one in await self.names.meant(name.scope)]
        return [name.scope]

    async def pull(
        self, raw: Iterable[str] | None, asker: Asker, *, allow_deletes: bool = False
    ) -> Outcome:
        """Pull these scopes, or every scope: one LIST, then what changed."""
        outcome = Outcome()
        if raw is None:
            found = await self._patience(asker).through(self.reader.refresh_all)
            asking = await self._asking(asker, set(found.scopes), "pull")
            outcome.failed.update(found.failed)
            at_rest = await self.desks.at_rest(found.scopes)
            for scope in found.scopes:
                if scope in outcome.failed:
                    continue
                if scope in at_rest:
                    outcome.done[scope] = Pulled()
                    continue
                try:
                    done = await self.desks.apply(scope, allow_deletes=allow_deletes)
                    outcome.done[scope] = done
                except SwampdError as error:
                    outcome.failed[scope] = error
            return outcome
        texts = list(raw)
        named = await self._named(texts, local=False)
        asking = await self._asking(asker, {n.scope for n in named}, "pull")
        await self._pull_named(named, asking, outcome, allow_deletes=allow_deletes)
        # Again, for the declared scopes that the heads have just told of.
        named = await self._named(texts, local=False)
        await self._pull_named(named, asking, outcome, allow_deletes=allow_deletes)
        return outcome

    async def _pull_named(
        self, named: list[Named], asking: Asking, outcome: Outcome, *, allow_deletes: bool
    ) -> None:
        """Pull those of these scopes that are not in the outcome yet."""
        for name in named:
            scope = scopes.top_scope(name.scope) if name.to_declare else name.scope
            if scope in outcome.done or scope in outcome.failed:
                continue
            try:
                outcome.done[scope] = await self.desks.pull(
                    scope, asking, allow_deletes=allow_deletes
                )
            except SwampdError as error:
                outcome.failed[scope] = error

    async def _declare_for_push(self, scope: Scope, asking: Asking) -> None:
        """A push of a deeper directory declares it, if there is anything in it to push."""
        top = scopes.top_scope(scope)
        gates = asking.gates_over(scope)
        wants = tuple(Want(s) for s in (top, scope) if s not in asking.leases)
        grant = await self.keeper.take(
            wants,
            owner=asking.owner,
            wait_s=asking.patience(wants),
            purpose="declare",
            under=gates,
        )
        try:
            held = {**asking.leases, **grant.leases}
            await self.desks.declare(held[scope], held[top])
        finally:
            self.keeper.give_back(grant)

    async def _named(self, raw: Iterable[str] | None, *, local: bool) -> list[Named]:
        if raw is None:
            return await self.names.every(local=local)
        found: dict[Scope, Named] = {}
        for text in raw:
            for name in await self.names.meant(self._scope(text, allow_all=True)):
                found[name.scope] = name
        return outermost(found[scope] for scope in sorted(found))

    async def _asking(self, asker: Asker, chosen: set[Scope], purpose: str) -> Asking:
        """The asker with the leases of the holds it may use; a lost one is told first."""
        usable = self.holds.usable(asker.owner, asker.token)
        await self.holds.tell_loss(usable, chosen)
        held = {s: lease for hold in usable for s, lease in hold.leases.items() if hold.valid()}
        store = self._patience(asker)
        return Asking(asker.owner.key, asker.wait_s, held, purpose, store)

    def _patience(self, asker: Asker) -> Patience:
        """It waits for a store that is away as long as for a lock."""
        return Patience(self.ports.clock, self.ports.rng, asker.wait_s)

    @staticmethod
    def _scope(text: str, *, allow_all: bool) -> Scope:
        scope = parse_scope(text, allow_all=allow_all)
        if isinstance(scope, PathProblem):
            raise BadRequest(
                f"{text!r} is no scope: {scope.value}",
                "a scope is a path in the cache, such as data/aws-ec2/x",
                scope=text,
            )
        return scope
