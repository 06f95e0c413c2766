"""What the journal remembers of locks: nonces, deadlines, tokens known free, doubts, holds.

Plain functions on one transaction.  A nonce is here before the write that carries it is sent, so
that after a crash *mine* is what the journal says, never a daemon id (section 3).
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import msgspec

from swampd.domain.codec import Damaged, TooNew, decode_lock, encode_lock
from swampd.domain.scopes import Covers
from swampd.domain.values import BootId, Epoch, Nonce, Scope, Token

if TYPE_CHECKING:
    from swampd.domain.leases import LockRecord
    from swampd.ports import Transaction


_token_decoder: Final = msgspec.json.Decoder(Token)


def dump_token(token: Token | None) -> str | None:
    """A token as the journal keeps it."""
    return None if token is None else json.dumps([token.e_tag, token.version])


def load_token(text: str | None) -> Token | None:
    """The token that `dump_token` wrote."""
    return None if text is None else _token_decoder.decode(text)


def _record(raw: bytes | None, scope: Scope) -> LockRecord | None:
    if raw is None:
        return None
    record = decode_lock(raw, scope)
    return None if isinstance(record, Damaged | TooNew) else record


# --- my acquisitions --------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Remembered:
    """An acquisition that this daemon began; `deadline` is None until it was won."""

    scope: Scope
    nonce: Nonce
    epoch: Epoch
    covers: Covers
    deadline: float | None
    boot_id: BootId
    record: LockRecord | None
    token: Token | None
    declares: bool
    """A declare was sent under it whose answer is not known, or one of its scope while in doubt."""


def begin_acquisition(tx: Transaction, record: LockRecord, boot_id: BootId) -> None:
    """A nonce is about to be sent."""
    tx.execute(
        "INSERT INTO lock_nonce (nonce, scope, epoch, covers, boot_id, record)"
        " VALUES (?, ?, ?, ?, ?, ?)",
        (
            record.nonce,
            record.scope,
            record.epoch,
            record.covers.value,
            boot_id,
            encode_lock(record),
        ),
    )
    note_epoch(tx, record.scope, record.epoch)


def note_deadline(tx: Transaction, record: LockRecord, token: Token, deadline: float) -> None:
    """An acquisition or renewal was won: no hold may rely on a deadline that is not here."""
    tx.execute(
        "UPDATE lock_nonce SET deadline = ?, record = ?, token = ? WHERE nonce = ?",
        (deadline, encode_lock(record), dump_token(token), record.nonce),
    )


def note_declare(tx: Transaction, nonce: Nonce, *, open_: bool) -> None:
    """A declare is about to be sent under this acquisition, or its answer is known; or one in
    doubt, of its scope."""
    tx.execute("UPDATE lock_nonce SET declares = ? WHERE nonce = ?", (open_, nonce))


def forget_nonce(tx: Transaction, nonce: Nonce) -> None:
    """The record no longer carries this nonce, or is free: nothing of it is mine any more."""
    tx.execute("DELETE FROM lock_nonce WHERE nonce = ?", (nonce,))


def is_mine(tx: Transaction, nonce: Nonce) -> bool:
    """Did this daemon send this nonce?"""
    return bool(list(tx.execute("SELECT 1 FROM lock_nonce WHERE nonce = ?", (nonce,))))


def acquisitions(tx: Transaction) -> list[Remembered]:
    """All acquisitions that were begun and not given back."""
    rows = tx.execute(
        "SELECT nonce, scope, epoch, covers, deadline, boot_id, record, token, declares"
        " FROM lock_nonce"
        " ORDER BY scope, epoch"
    )
    return [
        Remembered(
            Scope(scope),
            Nonce(nonce),
            Epoch(epoch),
            Covers(covers),
            deadline,
            BootId(boot_id),
            _record(record, Scope(scope)),
            load_token(token),
            bool(declares),
        )
        for nonce, scope, epoch, covers, deadline, boot_id, record, token, declares in rows
    ]


# --- what was seen of records -----------------------------------------------------------------


def note_epoch(tx: Transaction, scope: Scope, epoch: Epoch) -> None:
    """An epoch of this lock exists: the next acquisition goes above it, whatever is lost (L1)."""
    tx.execute(
        "INSERT INTO lock_seen VALUES (?, ?, NULL, NULL) ON CONFLICT (scope) DO UPDATE"
        " SET epoch = max(epoch, excluded.epoch), free_token = NULL, free_record = NULL",
        (scope, epoch),
    )


def raise_epoch(tx: Transaction, scope: Scope, epoch: Epoch) -> None:
    """A head says this epoch: the next acquisition goes above it, should the record be missing."""
    tx.execute(
        "INSERT INTO lock_seen VALUES (?, ?, NULL, NULL) ON CONFLICT (scope) DO UPDATE"
        " SET epoch = max(epoch, excluded.epoch)",
        (scope, epoch),
    )


def note_free(tx: Transaction, record: LockRecord, token: Token) -> None:
    """The record is free at this token: the next acquisition is one request."""
    tx.execute(
        "INSERT INTO lock_seen VALUES (?, ?, ?, ?) ON CONFLICT (scope) DO UPDATE SET"
        " epoch = max(epoch, excluded.epoch), free_token = excluded.free_token,"
        " free_record = excluded.free_record",
        (record.scope, record.epoch, dump_token(token), encode_lock(record)),
    )


def forget_free(tx: Transaction, scope: Scope) -> None:
    """The remembered free record is no longer the one in the store."""
    tx.execute(
        "UPDATE lock_seen SET free_token = NULL, free_record = NULL WHERE scope = ?", (scope,)
    )


def known_epoch(tx: Transaction, scope: Scope) -> Epoch:
    """The highest epoch of this lock that was ever seen here (0: none)."""
    for (epoch,) in tx.execute("SELECT epoch FROM lock_seen WHERE scope = ?", (scope,)):
        return Epoch(epoch)
    return Epoch(0)


def known_free(tx: Transaction, scope: Scope) -> tuple[LockRecord, Token] | None:
    """The record and token of our last look at it while it was free."""
    rows = tx.execute("SELECT free_record, free_token FROM lock_seen WHERE scope = ?", (scope,))
    for raw, text in rows:
        record, token = _record(raw, scope), load_token(text)
        if record is not None and token is not None:
            return record, token
    return None


def known_free_tokens(tx: Transaction) -> dict[Scope, Token]:
    """All tokens at which a record was seen free."""
    rows = tx.execute("SELECT scope, free_token FROM lock_seen WHERE free_token IS NOT NULL")
    return {Scope(scope): _token_decoder.decode(text) for scope, text in rows}


# --- doubt ------------------------------------------------------------------------------------


def doubted_since(tx: Transaction, scope: Scope, in_doubt: Epoch, boot_id: BootId) -> float | None:
    """When this value of `in_doubt` was first seen in this boot."""
    found = tx.execute(
        "SELECT first_seen FROM lock_doubt WHERE scope = ? AND epoch = ? AND boot_id = ?",
        (scope, in_doubt, boot_id),
    )
    return next((float(first_seen) for (first_seen,) in found), None)


def note_doubt(tx: Transaction, scope: Scope, in_doubt: Epoch, now: float, boot_id: BootId) -> None:
    """Remember when this value of `in_doubt` was first seen in this boot."""
    if doubted_since(tx, scope, in_doubt, boot_id) is None:
        tx.execute(
            "INSERT OR REPLACE INTO lock_doubt VALUES (?, ?, ?, ?)",
            (scope, in_doubt, now, boot_id),
        )


# --- holds ------------------------------------------------------------------------------------


def save_hold(tx: Transaction, token: str, row: dict[str, Any]) -> None:
    """A hold is granted only after this."""
    tx.execute(
        "INSERT OR REPLACE INTO hold VALUES (?, ?)", (token, json.dumps(row, sort_keys=True))
    )


def drop_hold(tx: Transaction, token: str) -> None:
    """A hold ended."""
    tx.execute("DELETE FROM hold WHERE token = ?", (token,))


def holds(tx: Transaction) -> list[dict[str, Any]]:
    """The holds of the life before."""
    return [json.loads(row) for (row,) in tx.execute("SELECT row FROM hold ORDER BY token")]
