"""Writing heads: claims, commits, settlements, declarations; each one CAS under a lease.

Keeps L3 (a claim of a new epoch shuts out every older holder), L4, L5 (a head write is reported
failed only when it cannot land any more), L7 (the lease is asked before every sending).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import structlog

from swampd.domain import codec, heads, scopes
from swampd.domain.codec import DecodedHead
from swampd.domain.heads import Head, HeadKind
from swampd.domain.values import Wid
from swampd.errors import LockLost, StoreUnavailable
from swampd.indexing.ledger import KnownHead
from swampd.indexing.manifests import Folded, ManifestMissing
from swampd.indexing.reading import Update
from swampd.locking import ledger as locks
from swampd.locking.cas import Fate, Landed, Refused, Write, Writer

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from swampd.domain.entries import Record
    from swampd.domain.heads import ManifestRef
    from swampd.domain.layout import Keys
    from swampd.domain.outcomes import Found
    from swampd.domain.values import CachePath, Token
    from swampd.indexing.manifests import Manifests
    from swampd.indexing.reading import HeadReader
    from swampd.locking.lease import Lease
    from swampd.ports import Journal, Rng

log = structlog.get_logger()


class HeadWriter:
    """Writes the heads of one datastore."""

    def __init__(
        self,
        writer: Writer,
        keys: Keys,
        journal: Journal,
        rng: Rng,
        reader: HeadReader,
        manifests: Manifests,
        writer_name: str,
    ) -> None:
        self._keys = keys
        self._journal = journal
        self._rng = rng
        self._writer = writer
        self._reader = reader
        self._manifests = manifests
        self._name = writer_name

    def stamp(self, lease: Lease) -> heads.Stamp:
        """Who writes, under which lease, with a fresh wid."""
        return heads.Stamp(lease.epoch, lease.nonce, Wid(self._rng.uuid()), self._name)

    async def claim(self, lease: Lease) -> KnownHead:
        """Write the lease's epoch into the head, so that older holders can commit nothing.

        On the head in the journal; it is read first only where there is none, or after a
        rejection.  Once per epoch, and again after an unanswered head write.
        Raises errors.LockLost, errors.StoreUnavailable, errors.Halted.
        """
        known = await self._reader.known(lease.scope)
        if lease.claimed and known is not None:
            return known
        if known is None:
            known = await self._reader.refresh(lease.scope)
        while True:
            await self.check_epoch(lease, known)
            if known is None:
                head = await self.first_head(lease)
            else:
                head = heads.restamped(known.head, self.stamp(lease), HeadKind.CLAIM)
            fate = await self.write(lease, head, known.token if known is not None else None)
            if isinstance(fate, Landed):
                lease.claimed = True
                return await self.adopt_own(Folded(head), fate, known)
            if not isinstance(fate, Refused):
                lease.demand()
                raise StoreUnavailable(
                    f"the claim on {lease.scope} was not answered", "try again", scope=lease.scope
                )
            known = await self._reader.refresh(lease.scope)

    async def check_epoch(self, lease: Lease, known: KnownHead | None) -> None:
        """Raise errors.LockLost when the head was claimed by somebody after this lease (L3)."""
        if known is None:
            return
        head = known.head
        if head.epoch < lease.epoch or (head.epoch, head.nonce) == (lease.epoch, lease.nonce):
            return
        await self._journal.write(lambda tx: locks.raise_epoch(tx, lease.scope, head.epoch))
        raise LockLost(
            f"the head of {lease.scope} is of epoch {head.epoch}, this lock of {lease.epoch}",
            "acquire it again; what was edited meanwhile is still in the cache",
            scope=lease.scope,
            epoch=str(lease.epoch),
            reason="superseded",
        )

    async def write(
        self,
        lease: Lease,
        head: Head,
        token: Token | None,
        still: Callable[[], bool] = lambda: True,
    ) -> Fate:
        """One CAS of a head, and its fate.

        Only one that landed leaves the lease claimed.  After any other, cut off or refused, the
        head in the journal may not be the one in the store: it is read again, or claimed, before
        the next write (section 3, claim).
        """

        def is_mine(found: Found) -> bool:
            decoded = codec.decode_head(found.body, head.scope)
            if not isinstance(decoded, DecodedHead):
                return False
            return decoded.head.wid == head.wid or heads.names_commit(decoded.head, head.wid)

        write = Write(
            self._keys.head(head.scope),
            codec.encode_head(head),
            token,
            is_mine,
            lambda: lease.may_act() and still(),
            lease.deadline,
        )
        fate: Fate | None = None
        try:
            fate = await self._writer.send(write)
        finally:
            if not isinstance(fate, Landed):
                lease.claimed = False
        return fate

    async def adopt_own(self, folded: Folded, fate: Landed, before: KnownHead | None) -> KnownHead:
        """Adopt a head that this daemon wrote on top of `before`; where only a look told that it
        landed, what was found there (it may have a successor)."""
        head = folded.head
        if fate.found is not None:
            found = await self._reader.take_in(head.scope, fate.found)
            return found or KnownHead(head, fate.token)
        parts: list[tuple[Wid | None, Mapping[CachePath, Record]]] = [(None, head.delta)]
        if folded.home is not None:
            parts.insert(0, (folded.home, folded.rows))
        update = Update(tuple(parts), forgotten=folded.forgotten)
        token = before.token if before is not None else None
        await self._reader.adopt(DecodedHead(head, {}), fate.token, update, token)
        return KnownHead(head, fate.token)

    async def create_child(self, lease: Lease, parent: Head, ref: ManifestRef | None) -> None:
        """Create the head of a scope that was declared just now; a failure is left to the claim."""
        head = _inheriting(
            heads.fresh(parent.datastore_id, lease.scope, self.stamp(lease)), parent, ref
        )
        fate = await self.write(lease, head, None)
        if isinstance(fate, Landed):
            lease.claimed = True
            await self.adopt_own(Folded(head), fate, None)

    async def first_head(self, lease: Lease) -> Head:
        """The head to be created for a scope that has none: a declared child begins on the
        manifest that its parent names, with its parent's seq and memory.

        Raises errors.LockLost when it is not declared, errors.DamagedObject when that manifest is
        lost, errors.StoreUnavailable when the head was created meanwhile.
        """
        scope, stamp = lease.scope, self.stamp(lease)
        head = heads.fresh(self._reader.datastore_id, scope, stamp)
        top = scopes.top_scope(scope)
        if top == scope:
            return head
        parent = await self._reader.known(top)
        child = parent.head.children.get(scope) if parent is not None else None
        if parent is None or child is None or child.pending is None:
            raise LockLost(f"{scope} is not declared any more", "acquire it again", scope=scope)
        if not isinstance(child.pending, str):
            return _inheriting(head, parent.head, None)
        wid = Wid(child.pending)
        try:
            manifest, body = await self._manifests.read(wid, scope, None)
        except ManifestMissing:
            await self._reader.refresh(scope)  # it names the loss, if it is one
            raise StoreUnavailable(
                f"the head of {scope} was created meanwhile", "try again", scope=scope
            ) from None
        ref = codec.manifest_ref(wid, len(manifest.entries), body)
        return _inheriting(head, parent.head, ref)


def _inheriting(head: Head, parent: Head, ref: ManifestRef | None) -> Head:
    """A child's first head: its parent's seq and memory, on the manifest of what moved."""
    return msgspec.structs.replace(
        head,
        seq=parent.seq,
        forgotten_seq=parent.forgotten_seq,
        manifests=() if ref is None else (ref,),
    )
