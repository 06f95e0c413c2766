"""Engines that are broken in the cache."""

from __future__ import annotations

from typing import Any

from swampd.domain import planning, pointers
from swampd.domain.planning import Present, Step
from swampd.indexing import rows
from swampd.syncing import (
    bases,
    committing,
    local_ledger,
    placing,
    plans,
    pulling,
    pushing,
    survey,
)
from tests.sim import tree
from tests.sim.mutants.patching import patched


def delete_by_absence() -> Any:
    """An emptied or restored cache is taken for what the user wants."""

    async def checked(_self: object) -> bases.Checked:
        return bases.Checked(fits=True, joining=False)

    return patched((bases.Bases, "checked", checked))


def restored_cache_is_ours() -> Any:
    """A cache that somebody put back from a backup is taken for the one that the journal knows."""

    def fits(self: Any, marker: Any, _generation: int) -> bool:
        return bool(marker.workspace == self._sync.workspace)

    return patched((bases.Bases, "_fits", fits))


def base_of_what_is_there_now() -> Any:
    """After a commit base has the stamps that the files have then, whatever was sent."""
    real = committing.commit

    async def commit(
        sync: Any, b: Any, lease: Any, known: Any, records: Any, files: Any, seen_in: Any
    ) -> Any:
        done = await real(sync, b, lease, known, records, files, seen_in)

        def agree(tx: Any) -> None:
            for path, file in files.items():
                seen = sync.tree.stat(path)
                if seen is not None and seen.stamp is not None:
                    base = rows.Base(file.content, seen.stamp, racy=False)
                    rows.put_base(tx, lease.scope, path, base)

        await b.change(agree)
        return done

    return patched((pushing, "commit", commit))


def pull_over_edits() -> Any:
    """A pull places the head's content over whatever is there."""
    real = planning.plan_path

    def plan(local: Any, base: Any, remote: Any, **flags: Any) -> Step:
        step = real(local, base, remote, **flags)
        return Step.PLACE if step is Step.CONFLICT and isinstance(local, Present) else step

    return patched((plans, "plan_path", plan), (placing.Placer, "_came_out", _drop_it))


def check_then_rename() -> Any:
    """What an exchange takes out is dropped without a look."""
    return patched((placing.Placer, "_came_out", _drop_it))


def _drop_it(self: Any, name: str, _path: Any, _saw: Any) -> bool:
    self._tree.drop_tmp(name)
    return True


def size_only() -> Any:
    """A file of the same size counts as unchanged."""
    real = survey._look

    def look(path: Any, row: Any, base: Any, result: Any, unread: Any) -> None:
        if base is None or row.stamp is None or row.stamp.size != base.content.size:
            real(path, row, base, result, unread)

    return patched((survey, "_look", look))


def base_before_commit() -> Any:
    """Base moves when the upload is done, not when the commit is."""
    real = committing.commit

    async def early(
        sync: Any, b: Any, lease: Any, known: Any, records: Any, files: Any, seen_in: Any
    ) -> Any:
        def agree(tx: Any) -> None:
            for path, file in files.items():
                rows.put_base(tx, lease.scope, path, file.as_base)

        await b.change(agree)
        return await real(sync, b, lease, known, records, files, seen_in)

    return patched((pushing, "commit", early))


def placements_not_journalled() -> Any:
    """Files are renamed in the cache, and no journal says which."""
    return patched((local_ledger, "begin_placements", lambda _tx, _placements: None))


def not_synced_before_rename() -> Any:
    """Downloads are renamed over files before their bytes are on the disk."""

    def sync(self: Any) -> None:
        self._undo.clear()

    return patched((tree.SimTree, "sync", sync))


def pointers_first() -> Any:
    """Pointers are placed like other files, and before them."""

    def nothing(_path: Any) -> bool:
        return False

    def order(path: Any, _saw: Any) -> tuple[bool, str]:
        return not pointers.is_pointer(path), path

    return patched(
        (pulling, "is_pointer", nothing),
        (placing, "is_pointer", nothing),
        (placing, "placing_order", order),
        (pulling, "placing_order", order),
    )
