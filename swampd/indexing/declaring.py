"""Declaring a scope: a directory gets a head and a lock of its own (section 4, scopes).

Done under the lease (`own`) of the top-level scope and of the new one: a manifest with its entries
is written, one CAS names the child in the top-level head, and only then its own head is created.
A crash in between leaves a child that anybody can finish (`HeadWriter.first_head`).
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import msgspec

from swampd.domain import heads, scopes
from swampd.domain.heads import Child, Head, HeadKind
from swampd.errors import StoreUnavailable, SwampdError
from swampd.indexing import ledger, rows
from swampd.indexing.manifests import Folded
from swampd.indexing.reading import put_pending
from swampd.locking import ledger as locks
from swampd.locking.cas import Landed, NotSent, Refused

if TYPE_CHECKING:
    from swampd.domain.heads import ManifestRef
    from swampd.domain.values import DatastoreId, Scope, Token
    from swampd.indexing.ledger import KnownHead
    from swampd.indexing.manifests import Manifests
    from swampd.indexing.reading import HeadReader
    from swampd.indexing.writing import HeadWriter
    from swampd.locking.cas import Fate
    from swampd.locking.lease import Lease
    from swampd.ports import Journal


class DeclaredMeanwhile(Exception):
    """Somebody has declared a scope around or inside this one: find out again what is meant."""


async def declare(
    child_lease: Lease,
    top_lease: Lease,
    reader: HeadReader,
    writer: HeadWriter,
    manifests: Manifests,
    journal: Journal,
) -> None:
    """Name a scope in the head of its top-level scope and create its head, as a claim.

    Nothing happens where it is named already: the claim that follows reads or creates its head.
    Raises DeclaredMeanwhile, errors.LockLost, errors.StoreUnavailable, errors.Halted.
    """
    child, top = child_lease.scope, top_lease.scope
    await _hand_on_doubt(journal, child_lease, top_lease)
    parent = await reader.refresh(top)
    while True:
        await writer.check_epoch(top_lease, parent)
        named = parent.head.children if parent is not None else {}
        if child in named:
            return
        if scopes.entangled(child, named) is not None:
            raise DeclaredMeanwhile(child)
        moved = await journal.read(lambda tx: rows.remote_below(tx, child))
        ref = None
        if moved:
            ref = await manifests.write(reader.datastore_id, child, moved, top_lease)
        head = _naming(parent, child, ref, writer.stamp(top_lease), reader.datastore_id)
        seen = await journal.read(partial(ledger.seen_of, scopes=tuple(head.children)))
        head = heads.with_seen_children(head, seen)
        token = parent.token if parent is not None else None
        fate = await _send(writer, journal, top_lease, head, token)
        if isinstance(fate, Landed):
            await writer.adopt_own(Folded(head), fate, parent)
            break
        if not isinstance(fate, Refused):
            top_lease.demand()
            raise StoreUnavailable(f"declaring {child} was not answered", "try again", scope=child)
        parent = await reader.refresh(top)
    home = ref.wid if ref is not None else None
    await journal.write(lambda tx: put_pending(tx, child, moved, home))
    await writer.create_child(child_lease, head, ref)


async def _hand_on_doubt(journal: Journal, child_lease: Lease, top_lease: Lease) -> None:
    """Requests on paths that move may still land, and the child's record knows nothing of them: it
    is in doubt as its parent is, from now on (section 3, in doubt; ADR 0016)."""
    if (top_lease.in_doubt or top_lease.leaves_doubt) and not child_lease.inherits_doubt:
        nonce = child_lease.nonce
        await journal.write(lambda tx: locks.note_declare(tx, nonce, open_=True), durable=False)
        child_lease.inherits_doubt = True


async def _send(
    writer: HeadWriter, journal: Journal, lease: Lease, head: Head, token: Token | None
) -> Fate:
    """Send the declare; until its answer is known it counts as an unanswered request of its epoch.

    It moves paths to a scope that the next holder of this one knows nothing of (section 3, in
    doubt; ADR 0015).  Not durable: after a power cut the record is taken over, in doubt anyway.
    """
    nonce, before = lease.nonce, lease.left_unanswered
    await journal.write(lambda tx: locks.note_declare(tx, nonce, open_=True), durable=False)
    lease.left_unanswered, answered = True, False
    try:
        fate = await writer.write(lease, head, token)
        answered = isinstance(fate, Landed | Refused | NotSent)
    except SwampdError:  # nothing of it can land
        answered = True
        raise
    finally:
        if answered and not before:
            lease.left_unanswered = False
            await journal.write(
                lambda tx: locks.note_declare(tx, nonce, open_=False), durable=False
            )
    return fate


def _naming(
    parent: KnownHead | None,
    child: Scope,
    ref: ManifestRef | None,
    stamp: heads.Stamp,
    datastore_id: DatastoreId,
) -> Head:
    if parent is None:
        head = heads.fresh(datastore_id, scopes.top_scope(child), stamp)
    else:
        head = parent.head
    named = {**head.children, child: Child(ref.wid if ref is not None else {})}
    head = msgspec.structs.replace(head, children=named)
    return heads.restamped(head, stamp, HeadKind.DECLARE)
