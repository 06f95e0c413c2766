"""Granting a hold: the leases, the scopes declared, the heads claimed, the snapshot pulled.

What a client's lock means, from the request to something that it may rely on (section 3, claim and
holds; section 4, scopes).  Keeps S6 (a hold is journalled before it is granted) and L11 (who holds
something does not wait for what sorts before it).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from swampd.domain import levels, scopes
from swampd.domain.levels import Want
from swampd.errors import LockBusy
from swampd.indexing.declaring import DeclaredMeanwhile
from swampd.locking.holds import Hold, Holds, Owner
from swampd.syncing.asking import Asking
from swampd.syncing.scoping import ScopeNames, outermost

if TYPE_CHECKING:
    from collections.abc import Sequence

    from swampd.domain.values import Scope
    from swampd.locking.keeper import Grant, Keeper
    from swampd.syncing.context import Sync
    from swampd.syncing.desk import Desks

TRIES: Final = 5
"""So often a request is read again because others declared scopes around or inside it."""


@dataclass(frozen=True, slots=True)
class Terms:
    """How a hold is asked for: seconds to wait, the leases' ttl, what it is for, how long it may
    live at most, and what its life is bound to (API, holds)."""

    wait_s: float
    ttl_ms: int
    purpose: str = ""
    max_hold_s: float | None = None
    life: dict[str, Any] | None = None


class Granter:
    """Grants holds of one workspace."""

    def __init__(
        self, sync: Sync, keeper: Keeper, holds: Holds, desks: Desks, names: ScopeNames
    ) -> None:
        self._sync = sync
        self._keeper = keeper
        self._holds = holds
        self._desks = desks
        self._names = names

    async def grant(self, asked: Sequence[Scope], owner: Owner, terms: Terms) -> Hold:
        """All of these scopes or none, claimed, as a journalled hold.

        Raises errors.AlreadyHeld, LockTimeout, LockBusy, LockLost, StoreUnavailable, Halted.
        """
        for _ in range(TRIES):
            try:
                return await self._try(asked, owner, terms)
            except DeclaredMeanwhile:
                continue  # the journal knows more now: the request means something else
        names = ", ".join(asked)
        raise LockBusy(f"others go on declaring scopes around {names}", "try again", scope=asked[0])

    async def _try(self, asked: Sequence[Scope], owner: Owner, terms: Terms) -> Hold:
        named = outermost([await self._names.resolve(scope) for scope in asked])
        wants = levels.in_order(levels.client_want(scope.scope) for scope in named)
        scopes_asked = {want.scope for want in wants}
        await self._holds.tell_loss(self._holds.usable(owner, None), scopes_asked)
        self._holds.refuse_twice(owner, scopes_asked)
        fresh = tuple(n.scope for n in named if n.to_declare)
        tops = tuple(Want(scopes.top_scope(scope)) for scope in fresh)
        taken = levels.in_order((*wants, *tops))
        may_wait = not levels.sorts_before_held(taken, self._holds.wants_of(owner))
        grant = await self._keeper.take(
            taken,
            owner=owner.key,
            wait_s=terms.wait_s if may_wait else 0.0,
            ttl_ms=terms.ttl_ms,
            purpose=terms.purpose,
        )
        try:
            await self._declare(grant, fresh, wants)
            for scope in grant.leases:
                if scope != scopes.ALL:
                    await self._desks.claim(grant.leases[scope])
            hold = self._hold(grant, owner, wants, terms)
            await self._holds.add(hold)
        except BaseException:
            self._keeper.give_back(grant)
            raise
        return hold

    def _hold(self, grant: Grant, owner: Owner, wants: tuple[Want, ...], terms: Terms) -> Hold:
        most = terms.max_hold_s
        ends_at = None if most is None else self._sync.clock.now() + most
        token = self._sync.rng.uuid()
        return Hold(token, owner, wants, terms.purpose, grant, ends_at, terms.life or {})

    async def _declare(
        self, grant: Grant, fresh: tuple[Scope, ...], wants: tuple[Want, ...]
    ) -> None:
        """Declare what is not yet, under both leases; then give back the top-level ones."""
        for scope in fresh:
            top = scopes.top_scope(scope)
            await self._desks.declare(grant.leases[scope], grant.leases[top])
        wanted = {want.scope for want in wants}
        for scope in tuple(grant.leases):
            if scope not in wanted:
                self._keeper.shrink(grant, scope)

    # --- the snapshot -------------------------------------------------------------------------

    async def bring_up(self, hold: Hold) -> None:
        """Pull what the holder is to work on."""
        asking = Asking(hold.owner.key, 0.0, hold.leases)
        for want in hold.wants:
            if want.tree:
                await self._bring_up_below(want.scope, asking)
            else:
                await self._desks.pull(want.scope, asking)

    async def _bring_up_below(self, gate: Scope, asking: Asking) -> None:
        for scope in (await self._sync.reader.refresh_all()).scopes:
            if scope == gate or scopes.is_below(scope, gate):
                await self._desks.pull(scope, asking)
