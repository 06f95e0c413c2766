"""S3 and S7: the plain keys against the heads, at every instant and at the end."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from swampd.domain.entries import Entry
from swampd.domain.metadata import read_mark
from swampd.domain.pointers import held_back
from swampd.domain.values import CachePath, RemoteKey, Wid
from tests.sim.checks.violations import digest, fail
from tests.sim.workloads import PATHS

if TYPE_CHECKING:
    from tests.sim.checks.log import Log, Plain
    from tests.sim.world import World

LOOKED_S: Final = 60.0
"""Longer than that no look lies back when a DELETE is sent on it."""


def check_changed(world: World, log: Log, changed: list[Plain]) -> None:
    """S7: what the heads say of a path can be read after each change of its plain key, whoever's
    request that was and however late it landed."""
    for plain in changed:
        _check_theirs(world, plain)
        record = log.record(plain.path)
        if isinstance(record, Entry) and not is_kept(world, plain.path, record):
            mutation = plain.mutation
            what = f"{mutation.operation} by {mutation.node}.{mutation.life}"
            fail("S7", f"{plain.path} cannot be read after {what} sent at {mutation.sent_at:.3f}")


def check_true(world: World, changed: list[Plain]) -> None:
    """S7, S8: an object never holds other bytes than its own metadata says, however it was made."""
    for plain in changed:
        stored = world.network.objects.look(world.keys.payload(plain.path))
        mark = read_mark(plain.path, stored.metadata) if stored is not None else None
        if stored is not None and mark is not None and digest(stored.body) != mark.sha256:
            mutation = plain.mutation
            what = f"{mutation.operation} by {mutation.node}.{mutation.life}"
            fail("S7", f"{plain.path} holds other bytes than its metadata says after {what}")


def check_uploads(world: World) -> None:
    """S6: when all is quiet no upload is left open that anybody ever knew of."""
    for upload in world.network.uploads.open.values():
        if upload.known:
            fail("S6", f"{upload.name} of {upload.key} is neither completed nor aborted")


def check_committed(world: World, log: Log) -> None:
    """S7: what a new head says anew can be read from that moment on."""
    for mutation, head in log.new_heads:
        for path, record in head.delta.items():
            said = isinstance(record, Entry) and log.record(path) == record
            if said and isinstance(record, Entry) and not is_kept(world, path, record):
                what = f"{mutation.node}.{mutation.life} wrote a head ({head.kind.value})"
                fail("S7", f"{path} cannot be read when {what}")


def check_named(log: Log, before: int) -> None:
    """S7: nothing that a head names is deleted, and no head that names what is deleted lands;
    `before`: so much was deleted when this was asked last."""
    if log.gone and (log.new_heads or len(log.gone) > before):
        for wid in log.gone & log.named():
            fail("S7", f"{wid} is deleted, and a head names it")


def check_swept(world: World, log: Log) -> None:
    """S1: after `compact` there is nothing left that no head names and a daemon made."""
    keys, objects = world.keys, world.network.objects
    named = log.named(long_since=True)
    parts = {keys.manifest(wid) for wid in named} | {keys.staged(wid) for wid in named}
    plain = {keys.payload(path) for path in log.entries()}
    for row in objects.list(RemoteKey("")).rows:
        area = row.key.startswith((keys.heads, keys.locks, keys.layout))
        if not area and row.key not in parts | plain:
            fail("S1", f"{row.key} is left by compact, and no head names it")


def check_readable(world: World, log: Log) -> None:
    """S7: each entry's content can be read, redo or plain, as the store is now."""
    for path, entry in log.entries().items():
        if not is_kept(world, path, entry):
            fail("S7", f"the content of {path} ({entry}) cannot be read")


def _check_theirs(world: World, plain: Plain) -> None:
    """Section 1: what somebody else put at a plain key is never overwritten or deleted.  Where the
    store cannot delete on a condition, one that came behind our look is lost (section 7); and its
    tokens may not tell the same bytes apart."""
    mutation, foreign = plain.mutation, world.foreign
    theirs = foreign.standing.get(plain.path)
    foreign.note(world, plain.path)
    if theirs is None or not theirs.body.startswith(b"foreign"):
        return
    if mutation.operation == "delete" and theirs.time >= mutation.sent_at - LOOKED_S:
        return
    what = f"{mutation.operation} by {mutation.node}.{mutation.life} sent at {mutation.sent_at:.3f}"
    fail("S9", f"{plain.path} held a foreign object since {theirs.time:.3f}, and {what}")


def is_kept(world: World, path: CachePath, entry: Entry) -> bool:
    """Can it be read, or was its only object destroyed by somebody else?"""
    destroyed = entry.redo is None and path in world.foreign.touched
    return destroyed or can_be_read(world, path, entry)


def destroyed(world: World, log: Log) -> set[CachePath]:
    """Paths whose content is in no place any more where a reader would look for it, since somebody
    else wrote or deleted there; and those that are held back for them (section 6)."""
    lost = {
        path
        for path, entry in log.entries().items()
        if path in world.foreign.touched and not can_be_read(world, path, entry)
    }
    paths, pointer = [CachePath(path) for path in PATHS], CachePath("data/x/latest")
    held = (held_back(paths, lost, {pointer: CachePath(f"data/x/{name}")}) for name in "12")
    return lost.union(*held)


def can_be_read(world: World, path: CachePath, entry: Entry) -> bool:
    """Is the content of this entry there now, where a reader would look for it?"""
    objects = world.network.objects
    if entry.redo is not None:
        if entry.redo.inline is not None:
            return digest(entry.redo.inline) == entry.sha256
        staged = objects.look(world.keys.staged(entry.redo.staged or Wid("")))
        return staged is not None and digest(staged.body) == entry.sha256
    stored = objects.look(world.keys.payload(path))
    if stored is None or entry.token is None or not objects.same(stored.token, entry.token):
        return False
    return digest(stored.body) == entry.sha256


def check_mirrored(world: World, log: Log) -> None:
    """S1, S3: the plain keys equal the heads; what else is there are orphans of ours, so that
    `compact` may sweep them."""
    objects = world.network.objects
    wanted = log.entries()
    here = {
        row.key: objects.look(row.key)
        for row in objects.list(RemoteKey("")).rows
        if not row.key.startswith("_control/")
    }
    for path in destroyed(world, log):
        wanted.pop(path, None)
        here.pop(RemoteKey(path), None)
    for key in here.keys() - wanted.keys():
        stored = here[key]
        if stored is None or read_mark(CachePath(key), stored.metadata) is None:
            fail("S3", f"plain key {key} is there and no head has it")
    for path, entry in wanted.items():
        stored = here.get(RemoteKey(path))
        if stored is None or digest(stored.body) != entry.sha256:
            fail("S1", f"the plain key of {path} is not brought up")
