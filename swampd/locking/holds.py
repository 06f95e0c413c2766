"""Holds: what a client was granted, who may use it, and how its loss is told (API, holds).

A hold is in the journal (token, scopes, nonces, epochs, deadlines) before it is granted, and is
shown as lost exactly once to its owner's next command.  Keeps L14.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from swampd.domain.scopes import is_below
from swampd.errors import AlreadyHeld, LockLost, NotHolder
from swampd.locking import ledger

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator

    from swampd.domain.levels import Want
    from swampd.domain.values import Scope
    from swampd.locking.keeper import Grant
    from swampd.locking.lease import Lease, Loss
    from swampd.ports import Journal


@dataclass(frozen=True, slots=True)
class Owner:
    """Who asks, as the daemon knows it: `key` tells sessions (or processes) apart.

    `shared`: a hold of this owner is usable by all of its commands, not by its token alone.
    """

    key: str
    shared: bool = True
    label: str = ""
    """What a person calls it, e.g. `pid 4711`."""


@dataclass(slots=True)
class Hold:
    """A granted lock of a client, for one scope or several."""

    token: str
    owner: Owner
    wants: tuple[Want, ...]
    purpose: str
    grant: Grant
    ends_at: float | None = None
    """Local time at which it ends by itself (`--max-hold`)."""
    life: dict[str, Any] = field(default_factory=dict)
    """What its life hangs on (a session leader, a pid), for whoever watches processes."""
    lost: Loss | None = None

    @property
    def scopes(self) -> tuple[Scope, ...]:
        """The scopes it was granted for."""
        return tuple(want.scope for want in self.wants)

    @property
    def leases(self) -> dict[Scope, Lease]:
        """Its leases by scope."""
        return self.grant.leases

    def valid(self) -> bool:
        """May its holder act now?"""
        return self.lost is None and self.grant.valid()

    @property
    def deadline(self) -> float:
        """Local time up to which it is valid if nothing is renewed any more."""
        return min(lease.deadline for lease in self.leases.values())

    def row(self) -> dict[str, Any]:
        """As the journal keeps it."""
        return {
            "token": self.token,
            "owner": self.owner.key,
            "shared": self.owner.shared,
            "label": self.owner.label,
            "purpose": self.purpose,
            "wants": [[want.scope, want.tree] for want in self.wants],
            "ends_at": self.ends_at,
            "life": self.life,
            "leases": [[s, lease.epoch, lease.nonce] for s, lease in self.leases.items()],
        }


class Holds:
    """All holds of one workspace."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._holds: dict[str, Hold] = {}
        self._listeners: list[Callable[[Hold], None]] = []
        self.bounded = asyncio.Event()
        """Some of them end by themselves."""

    def __iter__(self) -> Iterator[Hold]:
        """All of them, lost ones that were not told yet included."""
        return iter(tuple(self._holds.values()))

    def has(self, hold: Hold) -> bool:
        """Is this hold still here: not released, not lost and told?"""
        return self._holds.get(hold.token) is hold

    def on_loss(self, listener: Callable[[Hold], None]) -> None:
        """Call this for each hold that is lost."""
        self._listeners.append(listener)

    async def add(self, hold: Hold) -> None:
        """Journal a hold; from now on it counts."""
        row = hold.row()
        await self._journal.write(lambda tx: ledger.save_hold(tx, hold.token, row))
        self.watch(hold)

    def watch(self, hold: Hold) -> None:
        """Take in a hold that is in the journal, and hear of its loss."""
        self._holds[hold.token] = hold
        self._note_bounded()
        for lease in hold.leases.values():
            lease.on_loss(lambda _lease, reason: self._lost(hold, reason))

    def _note_bounded(self) -> None:
        if any(hold.ends_at is not None for hold in self._holds.values()):
            self.bounded.set()
        else:
            self.bounded.clear()

    def _lost(self, hold: Hold, reason: Loss) -> None:
        if hold.lost is not None or hold.token not in self._holds:
            return
        hold.lost = reason
        for listener in tuple(self._listeners):
            listener(hold)

    async def end(self, hold: Hold) -> None:
        """It is over: released, lost and told, or its owner is gone."""
        self._holds.pop(hold.token, None)
        self._note_bounded()
        await self._journal.write(lambda tx: ledger.drop_hold(tx, hold.token), durable=False)

    # --- who may use what ---------------------------------------------------------------------

    def by_token(self, token: str) -> Hold:
        """The hold that a token shows.  Raises errors.NotHolder."""
        hold = self._holds.get(token)
        if hold is None:
            raise NotHolder("no hold has this token", "see `swampctl lock list`")
        return hold

    def usable(self, owner: Owner, token: str | None) -> list[Hold]:
        """The holds that an asker may use: by token, else those its owner shares."""
        if token is not None:
            return [self.by_token(token)]
        return [h for h in self._holds.values() if h.owner.shared and h.owner.key == owner.key]

    async def tell_loss(self, holds: list[Hold], asked: Collection[Scope]) -> None:
        """Raise errors.LockLost, once, for a lost hold that covers one of these scopes."""
        for hold in holds:
            if hold.lost is not None and any(_covers(hold, scope) for scope in asked):
                await self.end(hold)
                raise LockLost(
                    f"the lock on {', '.join(hold.scopes)} was lost: {hold.lost.value}",
                    "what was edited is still in the cache; run the command again to act afresh",
                    scope=hold.scopes[0],
                    reason=hold.lost.value,
                )

    def refuse_twice(self, owner: Owner, scopes: set[Scope]) -> None:
        """Raise errors.AlreadyHeld, with the token, for what this owner already has."""
        for hold in self._holds.values():
            same = hold.owner.shared and hold.owner.key == owner.key
            if same and hold.lost is None and scopes & set(hold.scopes):
                raise AlreadyHeld(
                    f"{hold.scopes[0]} is already locked by this session",
                    f"use it, or release it: `swampctl lock release {hold.scopes[0]}`",
                    scope=hold.scopes[0],
                    token=hold.token,
                )

    def wants_of(self, owner: Owner) -> list[Want]:
        """What this owner holds."""
        return [
            want
            for hold in self._holds.values()
            if hold.owner.key == owner.key and hold.lost is None
            for want in hold.wants
        ]


def _covers(hold: Hold, scope: Scope) -> bool:
    return any(
        want.scope == scope or (want.tree and is_below(scope, want.scope)) for want in hold.wants
    )
