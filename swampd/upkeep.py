"""What is done to a whole datastore now and then, for a workspace on it: `compact`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from swampd.domain import scopes
from swampd.syncing.asking import Asking
from swampd.syncing.unnamed import would_compact

if TYPE_CHECKING:
    from swampd.syncing.unnamed import Compacted
    from swampd.workspace import Asker, Workspace


async def compact(workspace: Workspace, asker: Asker, *, dry_run: bool = False) -> Compacted:
    """Delete what no head names, under a lock on everything; or tell what would be deleted, which
    locks and writes nothing.

    Raises errors.AlreadyHeld, LockTimeout, LockBusy, LockLost, StoreUnavailable, StoreDenied.
    """
    if dry_run:
        return await would_compact(workspace.desks.sync)
    hold = await workspace.lock([scopes.ALL], asker, purpose="compact", pull=False)
    try:
        asking = Asking(asker.owner.key, asker.wait_s, hold.leases, "compact")
        return await workspace.desks.compact(asking)
    finally:
        await workspace.release(hold)
