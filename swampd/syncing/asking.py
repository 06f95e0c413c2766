"""Who asks for an operation, and what it bears with: locks of others, and a store that is away."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeVar

from swampd.domain import leases, scopes
from swampd.domain.levels import Want, sorts_before_held
from swampd.errors import LockLost, PushFailed, SwampdError
from swampd.locking.lease import Loss
from swampd.waiting import passes

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Mapping

    from swampd.domain.values import Scope
    from swampd.locking.lease import Lease
    from swampd.syncing.patience import Patience

T = TypeVar("T")
TOLD_WITHIN_S: Final = leases.lifetime_s(leases.DEFAULT_TTL_MS)
"""Work under a lease tells of a store that is away when the lease lapses."""
_LAPSED: Final = Loss.LAPSED.value


class Asking:
    """Who asks for an operation: which leases it has, which gates it holds, how long it waits."""

    def __init__(
        self,
        owner: str,
        wait_s: float,
        leases: Mapping[Scope, Lease] | None = None,
        purpose: str = "",
        store: Patience | None = None,
    ) -> None:
        """`store`: its patience with a store that is away; None: none."""
        self.owner = owner
        self.wait_s = wait_s
        self.leases = dict(leases or {})
        self.purpose = purpose
        self._store = store

    def patience(self, wants: Iterable[Want]) -> float:
        """How long it waits for these, in seconds: not at all for what sorts before what it holds
        (section 3, several scopes)."""
        return 0.0 if sorts_before_held(wants, map(Want, self.leases)) else self.wait_s

    def gates_over(self, scope: Scope) -> tuple[Lease, ...]:
        """The asker's own gates above a scope."""
        return tuple(
            lease
            for of, lease in self.leases.items()
            if scopes.is_below(scope, of) and lease.record.covers is scopes.Covers.TREE
        )

    async def through(self, work: Callable[[], Awaitable[T]]) -> T:
        """What `work` comes to, tried again while the store is away, for as long as it waits."""
        if self._store is None:
            return await work()
        return await self._store.through(work, TOLD_WITHIN_S)

    async def push_through(self, scope: Scope, push: Callable[[], Awaitable[T]]) -> T:
        """The same for a push: what it has sent counts, and a lease of its own that lapsed while
        the store was away is taken anew.  One that the asker holds is lost."""
        wait = self._store.begin(TOLD_WITHIN_S) if self._store is not None else None
        mine, lapse = scope in self.leases, None
        while True:
            try:
                return await push()
            except SwampdError as error:
                if isinstance(error, LockLost) and error.fields.get("reason") == _LAPSED:
                    lapse = error
                elif not passes(error):
                    raise
                goes_on = not mine or error is not lapse
                if goes_on and wait is not None and await wait.again(error):
                    continue
                if lapse is None:
                    raise
                raise _gone_too_long(scope, lapse, mine=mine) from error


def _gone_too_long(scope: Scope, error: SwampdError, *, mine: bool) -> SwampdError:
    """The lock lapsed under a push, for nothing renewed it: what that means for who pushed."""
    summary = (
        f"{scope}: the lock lapsed before the push was through, for the store was away or this"
        " machine stood still; nothing was committed"
    )
    if mine:
        return LockLost(
            summary, "acquire it again, then push: nothing in the cache is lost", **error.fields
        )
    return PushFailed(
        summary, "push again when the store answers: what it has already is kept", scope=scope
    )
