"""Reading heads: what changed, checked, and adopted into the journal.

Keeps S4 (a missing or older head is never taken as a delete: it halts), L4 as a reader sees it,
and the budget: one conditional GET for a scope, one LIST for all of them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, NoReturn

import structlog

from swampd.domain import codec, heads, scopes
from swampd.domain.codec import Damaged, DecodedHead, TooNew
from swampd.domain.outcomes import Found, Missing, Unchanged
from swampd.domain.states import Halt
from swampd.domain.values import DatastoreId, Epoch, Scope, Token, Wid
from swampd.errors import DamagedObject, Halted, SchemaTooNew, SwampdError
from swampd.indexing import ledger, rows
from swampd.indexing.ledger import KnownHead
from swampd.indexing.manifests import ManifestMissing, Manifests
from swampd.locking import ledger as locks

if TYPE_CHECKING:
    from collections.abc import Mapping

    from swampd.domain.entries import Record
    from swampd.domain.heads import Head
    from swampd.domain.layout import Keys
    from swampd.domain.values import CachePath
    from swampd.ports import Journal, ObjectStore, Transaction

TRIES: Final = 6
"""So often a head is read again when it moved on while it was read."""
log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Update:
    """The rows that a newer head brings, oldest first, each with the manifest it stands in."""

    parts: tuple[tuple[Wid | None, Mapping[CachePath, Record]], ...]
    whole: bool = False
    """The parts are all there is: rows that are not in them are gone."""
    forgotten: tuple[CachePath, ...] = ()
    """Tombstones that were dropped with this head."""
    refused: Mapping[str, str] = field(default_factory=dict)
    """Keys of its manifests that no cache path can be spelt so, each with the reason."""


@dataclass(frozen=True, slots=True)
class Refreshed:
    """What a look at all heads found."""

    scopes: list[Scope]
    failed: Mapping[Scope, SwampdError]
    """Those of them whose head cannot be taken in, each with the reason."""


class HeadReader:
    """Reads the heads of one datastore into the journal."""

    def __init__(
        self,
        store: ObjectStore,
        keys: Keys,
        journal: Journal,
        manifests: Manifests,
        datastore_id: DatastoreId,
    ) -> None:
        self._store = store
        self._keys = keys
        self._journal = journal
        self._manifests = manifests
        self.datastore_id = datastore_id

    async def known(self, scope: Scope) -> KnownHead | None:
        """The head as the journal has it, no request."""
        return await self._journal.read(lambda tx: ledger.known_head(tx, scope))

    async def refresh(self, scope: Scope) -> KnownHead | None:
        """The head as it is now, adopted; None where the scope has none.  One conditional GET.

        Raises errors.Halted, errors.SchemaTooNew, errors.DamagedObject, errors.StoreUnavailable.
        """
        for _ in range(TRIES):
            known = await self.known(scope)
            found = await self._get(scope, known)
            if isinstance(found, Unchanged):
                return known
            try:
                if isinstance(found, Found):
                    taken = await self._take_in(scope, found, known)
                    if taken is not None:
                        return taken
                elif await self._is_absent(scope, known):
                    return None
            except ManifestMissing as missing:
                log.info("manifest_missing", scope=scope, manifest=str(missing))
        raise DamagedObject(
            f"the head of {scope} names a manifest that is not there",
            "restore it from a version or a backup of the store, then pull again",
            scope=scope,
        )

    async def refresh_all(self) -> Refreshed:
        """Every scope that has a head now, the changed ones adopted.  One LIST per 1,000 scopes.

        A head that was there and is not listed halts its scope; the others go on.
        """
        failed: dict[Scope, SwampdError] = {}

        async def one(scope: Scope) -> None:
            try:
                await self.refresh(scope)
            except (Halted, DamagedObject, SchemaTooNew) as error:
                log.warning("head_refused", scope=scope, error=error.code)
                failed[scope] = error

        listed = await self._listed()
        known = await self._journal.read(ledger.head_tokens)
        for scope in sorted(listed | known.keys()):
            if listed.get(scope) != known.get(scope):
                await one(scope)
        pending = await self._journal.read(_pending_children)
        for scope in pending:
            if scope not in listed:
                await one(scope)
        return Refreshed(sorted({*listed, *known, *pending}), failed)

    async def _listed(self) -> dict[Scope, Token]:
        found: dict[Scope, Token] = {}
        after: str | None = None
        while True:
            page = await self._store.list(self._keys.heads, after)
            for row in page.rows:
                scope = self._keys.scope_of(row.key)
                if scope is not None and scope != scopes.ALL:
                    found[scope] = row.token
            after = page.after
            if after is None:
                return found

    async def _get(self, scope: Scope, known: KnownHead | None) -> Found | Missing | Unchanged:
        key = self._keys.head(scope)
        if known is not None:
            return await self._store.get_if_changed(key, known.token)
        found = await self._store.get(key)
        return found if isinstance(found, Found) else Missing()

    async def look_again(self, scope: Scope) -> None:
        """Lift the halts that the head of a scope was the cause of, where it is in order again: it
        is the one that was adopted last, or goes on from that.

        Raises what `refresh` raises: errors.Halted as long as it is not.
        """
        await self.refresh(scope)
        await self._journal.write(lambda tx: _lift_halts(tx, scope))

    # --- no head ------------------------------------------------------------------------------

    async def _is_absent(self, scope: Scope, known: KnownHead | None) -> bool:
        """Say what a 404 means to somebody who knew `known` before: gone back if it was there; else
        a child may wait on its parent.  False when the head exists meanwhile.

        `pending` counts only after that 404: the parent is read again, and null now means that
        the head exists.
        """
        if known is not None:
            await self.halt(scope, Halt.HEAD_WENT_BACK, "the head is gone from the store")
        top = scopes.top_scope(scope)
        parent = await self.refresh(top) if top != scope else None
        child = parent.head.children.get(scope) if parent is not None else None
        if child is not None and child.pending is None:
            return False
        if child is None or not isinstance(child.pending, str):
            return await self.known(scope) is None
        wid = Wid(child.pending)
        manifest, _ = await self._manifests.read(wid, scope, None)
        return await self._journal.write(lambda tx: put_pending(tx, scope, manifest.entries, wid))

    # --- a head -------------------------------------------------------------------------------

    async def take_in(self, scope: Scope, found: Found) -> KnownHead | None:
        """Adopt a head object that was read, or a newer one."""
        try:
            taken = await self._take_in(scope, found, await self.known(scope))
        except ManifestMissing:
            taken = None
        return taken or await self.refresh(scope)

    async def _take_in(
        self, scope: Scope, found: Found, known: KnownHead | None
    ) -> KnownHead | None:
        """Adopt what was read by somebody who knew `known`; None when the journal has moved on
        meanwhile, so that the answer may be older than what it has."""
        decoded = codec.decode_head(found.body, scope)
        if isinstance(decoded, TooNew):
            raise SchemaTooNew(
                f"the head of {scope} has schema {decoded.schema}, "
                f"this version knows {heads.SCHEMA}",
                "upgrade swampd on this machine",
                scope=scope,
            )
        if isinstance(decoded, Damaged):
            await self.halt(scope, Halt.HEAD_DAMAGED, decoded.reason)
        if not await self._check(scope, decoded.head, known):
            return None
        update = await self._unseen(decoded.head, known)
        before = known.token if known is not None else None
        if not await self.adopt(decoded, found.token, update, before):
            return None
        return KnownHead(decoded.head, found.token)

    async def _check(self, scope: Scope, head: Head, known: KnownHead | None) -> bool:
        """Is it of this datastore, and not older than what was seen?  (section 4, going back).

        False when it only is older than what came in while it was read.  After a head that went
        back only one that goes on from the last good one is taken: another is a fork, however far
        it got meanwhile.
        """
        if head.datastore_id != self.datastore_id:
            detail = f"the head is of datastore {head.datastore_id}, not {self.datastore_id}"
            await self.halt(scope, Halt.DATASTORE_CHANGED, detail)
        highest, now, halts = await self._journal.read(
            lambda tx: (
                ledger.peak(tx, scope),
                ledger.known_head(tx, scope),
                dict(ledger.halts_of(tx, scope)),
            )
        )
        if highest is not None and heads.went_back(head, highest):
            if _token(now) != _token(known):
                return False
            detail = f"epoch {head.epoch} seq {head.seq} after epoch {highest[0]} seq {highest[1]}"
            await self.halt(scope, Halt.HEAD_WENT_BACK, detail)
        if now is not None and Halt.HEAD_WENT_BACK in halts and not _goes_on(head, now.head):
            await self.halt(scope, Halt.HEAD_WENT_BACK, halts[Halt.HEAD_WENT_BACK])
        return True

    async def halt(self, scope: Scope, halt: Halt, detail: str) -> NoReturn:
        """Stop a scope for safety.  Always raises errors.Halted."""
        await self._journal.write(lambda tx: ledger.note_halt(tx, scope, halt, detail))
        log.error("halted", scope=scope, halt=halt.value, detail=detail)
        raise Halted(
            f"{scope} is halted: {halt.value} ({detail})",
            halt.way_out,
            scope=scope,
            halt=halt.value,
        )

    async def _unseen(self, head: Head, known: KnownHead | None) -> Update:
        """What of this head the journal has not: the new manifests in front of those it has seen,
        or all of them where the seen ones are not the oldest part.  Where the oldest one is new,
        the head may have forgotten tombstones: what it does not say is gone (S3)."""
        seen = tuple(ref.wid for ref in known.head.manifests) if known is not None else ()
        fresh = [ref for ref in head.manifests if ref.wid not in seen]
        behind = [ref.wid for ref in head.manifests if ref.wid in seen]
        suffix = [ref.wid for ref in head.manifests[len(fresh) :]]
        whole = (
            known is None
            or not suffix
            or behind != suffix
            or tuple(suffix) != seen[len(seen) - len(suffix) :]
        )
        wanted = head.manifests if whole else tuple(fresh)
        parts: list[tuple[Wid | None, Mapping[CachePath, Record]]] = []
        refused: dict[str, str] = {}
        for ref in reversed(wanted):
            manifest, _ = await self._manifests.read(ref.wid, head.scope, ref)
            parts.append((ref.wid, manifest.entries))
            refused.update(ledger.refused_rows(manifest.refused, ref.wid))
        parts.append((None, head.delta))
        return Update(tuple(parts), whole, refused=refused)

    async def adopt(
        self, decoded: DecodedHead, token: Token, update: Update, before: Token | None
    ) -> bool:
        """Take a head and its rows into the journal, in one transaction, on top of the head that
        has the token `before`; False, and nothing done, when the journal has another one."""
        head = decoded.head
        refused = {**update.refused, **ledger.refused_rows(decoded.refused, None)}

        def work(tx: Transaction) -> bool:
            if _token(ledger.known_head(tx, head.scope)) != before:
                return False
            _hand_down(tx, head)
            newest: dict[CachePath, tuple[Wid | None, Record]] = {}
            for home, part in update.parts:
                newest.update(
                    (path, (home, record))
                    for path, record in part.items()
                    if not heads.masked(path, head.children)
                )
            for home in dict.fromkeys(home for home, _ in newest.values()):
                chosen = {p: r for p, (where, r) in newest.items() if where == home}
                rows.put_remote(tx, head.scope, chosen, home)
            if update.whole:
                gone = rows.paths_in(tx, head.scope) - newest.keys()
                rows.drop_remote(tx, head.scope, sorted(gone))
            rows.drop_remote(tx, head.scope, update.forgotten)
            ledger.save_head(tx, head, token)
            ledger.note_refused(tx, head, refused)
            locks.raise_epoch(tx, head.scope, head.epoch)
            return True

        return await self._journal.write(work)


def put_pending(
    tx: Transaction, scope: Scope, moved: Mapping[CachePath, Record], wid: Wid | None
) -> bool:
    """What a declared scope begins with, while its head was not seen; False, and nothing done, when
    it was: it may have newer rows."""
    if ledger.known_head(tx, scope) is not None:
        return False
    rows.put_remote(tx, scope, moved, wid)
    return True


def _token(known: KnownHead | None) -> Token | None:
    return known.token if known is not None else None


def _goes_on(head: Head, before: Head) -> bool:
    """Is the last commit of `before` in the history of `head`, as far as that is remembered?"""
    return not before.recent or heads.names_commit(head, before.recent[0])


def _lift_halts(tx: Transaction, scope: Scope) -> None:
    """Rows that vanished without a tombstone are no cause that goes away by looking again."""
    lost = rows.without_record(tx, scope)
    for halt in (Halt.HEAD_WENT_BACK, Halt.HEAD_DAMAGED, Halt.DATASTORE_CHANGED):
        if halt is not Halt.HEAD_WENT_BACK or not lost:
            ledger.lift_halt(tx, scope, halt)


def _hand_down(tx: Transaction, head: Head) -> None:
    """Newly declared children take over what is below them, and the seq up to which it is known."""
    before = ledger.known_head(tx, head.scope)
    named = before.head.children if before is not None else {}
    for child in sorted(head.children.keys() - named.keys()):
        rows.move_below(tx, child)
        highest = ledger.peak(tx, head.scope)
        if highest is not None:
            ledger.raise_peak(tx, child, Epoch(0), highest[1])


def _pending_children(tx: Transaction) -> list[Scope]:
    """Declared scopes whose head nobody is known to have seen."""
    found: list[Scope] = []
    for scope in ledger.known_scopes(tx):
        known = ledger.known_head(tx, scope)
        if known is not None:
            found.extend(
                child
                for child, state in known.head.children.items()
                if state.pending is not None and ledger.known_head(tx, child) is None
            )
    return sorted(found)
