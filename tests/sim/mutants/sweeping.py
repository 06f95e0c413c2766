"""Broken ways to sweep a store."""

from __future__ import annotations

from typing import Any

from swampd.syncing import compacting
from tests.sim.mutants.patching import patched


def swept_without_claim() -> Any:
    """What no head names is deleted, though a late commit may still name it."""

    async def claim(_self: Any, _scope: Any) -> bool:
        return True

    return patched((compacting.Compactor, "_claim", claim))


def swept_without_tombstone() -> Any:
    """An orphan is deleted, though a late commit may still name it."""

    async def sweep(self: Any, lease: Any, paths: Any, listed: Any) -> None:
        for path in paths:
            lease.demand()
            await self._sync.store.delete(listed[path].key)

    return patched((compacting.Compactor, "_sweep", sweep))


def staged_copies_kept() -> Any:
    """Nothing below `_control/` is swept."""

    async def control(_self: Any, _locked: Any) -> None:
        return

    return patched((compacting.Compactor, "_control", control))
