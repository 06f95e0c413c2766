"""The leases of this daemon: shared among its clients, lingering, handed over, given back.

One place knows which lock records are ours.  Remote writes run in tasks of the workspace, so a
client that goes away never cuts one off half-way.  Keeps L6 and L11 locally; hand-overs are
limited so that other machines get their turn.
"""

from __future__ import annotations

import asyncio
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

import structlog

from swampd.domain import leases, levels, scopes
from swampd.domain.levels import Want
from swampd.errors import LockBusy, LockTimeout, Stopping, SwampdError
from swampd.locking.queue import LocalQueue, Turn
from swampd.locking.taking import Asker, Taker
from swampd.waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterator
    from contextlib import AbstractContextManager

    from swampd.domain.leases import Identity
    from swampd.domain.values import Nonce, Scope
    from swampd.locking.book import LockBook
    from swampd.locking.lease import Lease
    from swampd.ports import Clock, Rng

LINGER_S: Final = 1.0
"""After the last local release a lease stays so long, for a burst of commands."""
HAND_OVERS: Final = 8
"""After so many local uses a lease is freed remotely."""
COOL_DOWN_S: Final = 2 * leases.LONGEST_POLL_S
"""So long this daemon then keeps away, so that everybody who waits has looked."""
log = structlog.get_logger()


class Grant:
    """What a turn got: its leases by scope, until `Keeper.give_back`."""

    def __init__(self, turn: Turn, held: dict[Scope, Lease]) -> None:
        self.turn = turn
        self.leases = held

    def valid(self) -> bool:
        """May its holder act now?"""
        return all(lease.valid() for lease in self.leases.values())


class Keeper:
    """All leases of one workspace."""

    def __init__(
        self,
        book: LockBook,
        clock: Clock,
        rng: Rng,
        identity: Identity,
        spawn: Callable[[Coroutine[object, object, None], str], bool],
    ) -> None:
        self.queue = LocalQueue()
        self._clock = clock
        self._spawn = spawn
        self._taker = Taker(book, clock, rng, identity, self._start)
        self._pool: dict[Scope, Lease] = {}
        self._users: dict[Scope, int] = {}
        self._uses: dict[Scope, int] = {}
        self._cool_until: dict[Scope, float] = {}
        self._leaving: dict[Scope, asyncio.Event] = {}
        self._live: dict[Nonce, Lease] = {}
        self._sending: set[Nonce] = set()
        self._stopping = False

    @property
    def held(self) -> tuple[Lease, ...]:
        """All leases held now."""
        return tuple(self._pool.values())

    def adopt(self, lease: Lease) -> None:
        """Take in a lease of the life before, in use by the hold it was for (restart)."""
        lease.granted = True
        self._pool[lease.scope] = lease
        self._users[lease.scope] = 1
        self._uses[lease.scope] = 1
        self._start(lease)

    def end_later(self, turn: Turn, seconds: float) -> None:
        """End a turn that nobody uses after a while."""

        async def wait() -> None:
            await self._clock.sleep(seconds)
            self.queue.leave(turn)

        self._spawn(wait(), "turn_end")

    # --- taking -------------------------------------------------------------------------------

    async def take(
        self,
        wants: tuple[Want, ...],
        *,
        owner: str,
        wait_s: float,
        ttl_ms: int = leases.DEFAULT_TTL_MS,
        purpose: str = "",
        under: tuple[Lease, ...] = (),
    ) -> Grant:
        """All of these locks or none, first come, first served; `under` are gates of the asker.

        Raises errors.LockTimeout, errors.LockBusy (with `wait_s` 0), errors.StoreUnavailable.
        """
        until = self._clock.now() + wait_s
        turn = Turn(levels.in_order(wants), owner, purpose)
        self.queue.enter(turn)
        try:
            await self._await_turn(turn, until, no_wait=wait_s <= 0)
        except BaseException:
            self.queue.leave(turn)
            raise
        asker = Asker(until, ttl_ms, purpose, wait_s <= 0, lambda: turn.abandoned)
        result: asyncio.Future[Grant] = asyncio.get_running_loop().create_future()
        if not self._spawn(self._obtain(turn, under, asker, result), "lock_obtain"):
            self.queue.leave(turn)
            raise Stopping("the daemon is going down: no lock is taken any more", "try again")
        try:
            return await asyncio.shield(result)
        except asyncio.CancelledError:
            turn.abandoned = True
            if result.done() and not result.cancelled() and result.exception() is None:
                self.give_back(result.result())
            raise

    async def _await_turn(self, turn: Turn, until: float, *, no_wait: bool) -> None:
        circle = self.queue.waits_for_itself(turn)
        no_wait = no_wait or circle
        patience = 0.0 if circle else until - self._clock.now()
        if await wait_for(turn.granted, self._clock, patience):
            return
        other = self.queue.in_the_way(turn)
        what = f"{other.purpose or other.owner}" if other is not None else "another client"
        scope = turn.wants[0].scope
        error = LockBusy if no_wait else LockTimeout
        raise error(
            f"{scope} is locked on this machine by {what}",
            "see `swampctl lock list`",
            scope=scope,
            holder=what,
        )

    async def _obtain(
        self, turn: Turn, under: tuple[Lease, ...], asker: Asker, result: asyncio.Future[Grant]
    ) -> None:
        """Get the leases of a turn that has come; runs to its end whoever waits for it."""
        try:
            grant = Grant(turn, await self._leases_for(turn, under, asker))
        except BaseException as error:
            self.queue.leave(turn)
            if not result.done():
                if isinstance(error, SwampdError):
                    result.set_exception(error)
                    result.exception()
                else:
                    result.cancel()
            if not isinstance(error, SwampdError):
                raise
            return
        if turn.abandoned or result.done():
            self.give_back(grant)
        else:
            result.set_result(grant)

    async def _leases_for(
        self, turn: Turn, under: tuple[Lease, ...], asker: Asker
    ) -> dict[Scope, Lease]:
        """Reuse what lingers, from the first in order on; take the rest on the store."""
        reused: list[Lease] = []
        rest = list(turn.wants)
        while rest and (lease := self._reusable(rest[0])) is not None:
            self._count_use(lease)
            reused.append(lease)
            rest.pop(0)
        own = _Own(self, turn, reused)
        try:
            taken = await self._take_rest(tuple(rest), own, under, asker)
        except BaseException:
            for lease in reused:
                self._drop_use(lease, turn)
            raise
        for lease in taken:
            self._pool[lease.scope] = lease
            self._users[lease.scope] = 1
            self._uses[lease.scope] = 1
        return {lease.scope: lease for lease in (*reused, *taken)}

    async def _take_rest(
        self, rest: tuple[Want, ...], own: _Own, under: tuple[Lease, ...], asker: Asker
    ) -> list[Lease]:
        if not rest:
            return []
        turn = own.turn
        for scope in tuple(self._leaving):
            await self.give_back_idle(scope)
        for lease in self.held:
            if self._users[lease.scope] == 0 and any(
                levels.exclude(want, Want(lease.scope, lease.record.covers is scopes.Covers.TREE))
                for want in rest
            ):
                await self.give_back_idle(lease.scope)
        await self._cool_down(rest)
        gates = tuple(
            lease
            for lease in dict.fromkeys((*under, *self._gates_of(turn.owner)))
            if lease not in own.reused
            and any(scopes.is_below(want.scope, lease.scope) for want in turn.wants)
        )
        return await self._taker.take(turn.wants, gates, asker, own)

    def _gates_of(self, owner: str) -> list[Lease]:
        """The gates that this owner's turns hold: its own locks below them pass."""
        return [
            self._pool[want.scope]
            for turn in self.queue.active()
            for want in turn.wants
            if turn.owner == owner and want.tree and want.scope in self._pool
        ]

    async def _cool_down(self, rest: tuple[Want, ...]) -> None:
        until = max((self._cool_until.pop(want.scope, 0.0) for want in rest), default=0.0)
        pause = until - self._clock.now()
        if pause > 0:
            await self._clock.sleep(pause)

    def _reusable(self, want: Want) -> Lease | None:
        lease = self._pool.get(want.scope)
        if lease is None or not lease.valid() or lease.under:
            return None
        if want.tree and lease.record.covers is not scopes.Covers.TREE:
            return None
        return lease

    def holds_for(self, scope: Scope, owner: str) -> bool:
        """Is this scope leased here, and in use by turns of this owner?  One that merely waits for
        it does not have it (L6)."""
        lease = self._pool.get(scope)
        return (
            lease is not None
            and lease.alive()
            and any(
                want.scope == scope and turn.owner == owner
                for turn in self.queue.active()
                for want in turn.wants
            )
        )

    # --- keeping and giving back --------------------------------------------------------------

    def is_live(self, nonce: Nonce) -> bool:
        """Is this nonce that of a lease which this process holds, granted already or not, or whose
        acquisition is under way?"""
        self._live = {n: lease for n, lease in self._live.items() if lease.alive()}
        return nonce in self._live or nonce in self._sending

    @contextmanager
    def sending(self, nonce: Nonce) -> Iterator[None]:
        """An acquisition of this nonce is under way: if its record is seen, it is a live one."""
        self._sending.add(nonce)
        try:
            yield
        finally:
            self._sending.discard(nonce)

    def _start(self, lease: Lease) -> None:
        self._live[lease.nonce] = lease
        self._spawn(lease.keep(), "lease_keep")
        self._spawn(lease.watch_deadline(), "lease_deadline")

    def _count_use(self, lease: Lease) -> None:
        self._users[lease.scope] += 1
        self._uses[lease.scope] += 1

    def give_back(self, grant: Grant) -> None:
        """End a turn.  Its leases linger, are handed over, or are freed in the background."""
        for lease in reversed(tuple(grant.leases.values())):
            self._drop_use(lease, grant.turn)
        self.queue.leave(grant.turn)

    def shrink(self, grant: Grant, scope: Scope) -> None:
        """Give back one scope of a grant, such as the top-level one after declaring."""
        lease = grant.leases.pop(scope)
        grant.turn.wants = tuple(w for w in grant.turn.wants if w.scope != scope)
        self._drop_use(lease, grant.turn)
        self.queue.move_up()

    def _drop_use(self, lease: Lease, turn: Turn) -> None:
        scope = lease.scope
        if self._pool.get(scope) is not lease:
            return
        self._users[scope] -= 1
        if self._users[scope] > 0:
            return
        if not lease.valid() or lease.under or self._stopping:
            self._release_soon(lease)
            return
        waited_for = self.queue.waits_for(turn.wants, turn.owner)
        old = self._clock.now() - lease.taken_at >= lease.record.ttl_ms / 2000
        if self._uses[scope] >= HAND_OVERS or (old and (waited_for or self._uses[scope] > 1)):
            self._cool_until[scope] = self._clock.now() + COOL_DOWN_S
            self._release_soon(lease)
            return
        self._spawn(self._linger(lease, self._uses[scope]), "lease_linger")

    async def _linger(self, lease: Lease, uses: int) -> None:
        await self._clock.sleep(LINGER_S)
        if self._uses.get(lease.scope) == uses and self._pool.get(lease.scope) is lease:
            await self.give_back_idle(lease.scope)

    async def free_used(self, lease: Lease) -> None:
        """End one use of a lease and free it on the store, if that was the last."""
        if self._pool.get(lease.scope) is lease:
            self._users[lease.scope] -= 1
            await self.give_back_idle(lease.scope)

    def _release_soon(self, lease: Lease) -> None:
        lease.going = True
        self._spawn(self.give_back_idle(lease.scope), "lease_release")

    async def give_back_idle(self, scope: Scope) -> None:
        """Free the lease on this scope on the store if nobody uses it; returns when it is freed,
        by this call or by one that is under way."""
        leaving = self._leaving.get(scope)
        if leaving is not None:
            await leaving.wait()
            return
        lease = self._pool.get(scope)
        if lease is None or self._users[scope] > 0:
            return
        del self._pool[scope]
        gone = self._leaving[scope] = asyncio.Event()
        try:
            await lease.release()
        finally:
            del self._leaving[scope]
            gone.set()

    async def stop(self) -> None:
        """Free everything; for the end of the daemon."""
        self._stopping = True
        for scope, lease in sorted(self._pool.items(), reverse=True):
            self._users[scope] = 0
            lease.going = True
        async with asyncio.TaskGroup() as group:
            for scope in sorted(self._pool, reverse=True):
                group.create_task(self.give_back_idle(scope))


class _Own:
    """What a turn has of this keeper while it takes the rest (see `taking.Own`)."""

    def __init__(self, keeper: Keeper, turn: Turn, reused: list[Lease]) -> None:
        self._keeper = keeper
        self.turn = turn
        self.reused = reused

    def holds(self, scope: Scope) -> bool:
        reused = any(lease.scope == scope for lease in self.reused)
        return reused or self._keeper.holds_for(scope, self.turn.owner)

    def has_below(self, gate: Scope) -> bool:
        mine = self._keeper.queue.held_besides(self.turn)
        return any(scopes.is_below(want.scope, gate) for want in mine)

    def is_live(self, nonce: Nonce) -> bool:
        return self._keeper.is_live(nonce)

    def sending(self, nonce: Nonce) -> AbstractContextManager[None]:
        return self._keeper.sending(nonce)

    async def give_back_idle(self, scope: Scope) -> None:
        await self._keeper.give_back_idle(scope)

    async def give_back_reused(self) -> None:
        while self.reused:
            await self._keeper.free_used(self.reused.pop())
