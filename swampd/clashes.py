"""One cache, one store, one identity: what a client means against what is open already."""

from __future__ import annotations

from typing import TYPE_CHECKING

from swampd.errors import WorkspaceClash

if TYPE_CHECKING:
    from swampd.opening import Located


def refuse_clash(open_one: Located, asked: Located) -> None:
    """Raise WorkspaceClash for another store than the open one, or for another user of it."""
    there, wanted = open_one.config.datastore, asked.config.datastore
    if open_one.store_place != asked.store_place:
        raise WorkspaceClash(
            f"the cache {asked.cache} is open for {there}, not for {wanted}"
            f" ({wanted.source.value})",
            "use one store for one repoId, or run `swampctl daemon stop` to change it",
            open=str(there),
            asked=str(wanted),
        )
    if asked.said_who and open_one.identity != asked.identity:
        raise WorkspaceClash(
            f"{there} is open with {open_one.identity}, not with {asked.identity}",
            "set the same variables, or run `swampctl daemon stop` to change them",
            open=open_one.identity,
            asked=asked.identity,
        )


def means_another(tried: Located, asked: Located) -> bool:
    """Is what is tried to be opened no longer what is meant: another store, or another user, or one
    who may use more?"""
    if tried.store_place != asked.store_place:
        return True
    if not asked.said_who or not asked.identity:
        return False
    before, now = tried.environment, asked.environment
    better = now.own_secrets and not before.own_secrets
    return better or (tried.identity, before.region) != (asked.identity, now.region)
