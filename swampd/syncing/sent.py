"""What was acknowledged of a push and is in no commit yet, so that it is not sent again.

Plain functions on one transaction.  A row says that a create-only PUT of a path's plain key was
answered, under which (epoch, nonce).  Under the same it counts as it is; under another it is used
only after a look (section 5.4).  A row is dropped with the commit that names its path, and when the
fate of such a commit was found out in any other way: then a settlement may have come by since.

Limits: staged copies are not remembered.  A late delete by whoever sweeps unnamed ones could hit
one that a later commit names; those of a push that failed are sent again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from swampd.domain.values import CachePath, Epoch, Nonce, Sha256, Token, Wid
from swampd.indexing.many import these
from swampd.locking.ledger import dump_token, load_token

if TYPE_CHECKING:
    from collections.abc import Iterable

    from swampd.locking.lease import Lease
    from swampd.ports import Transaction


class Sent(msgspec.Struct, frozen=True, gc=False):
    """One acknowledged create of a plain key."""

    path: CachePath
    wid: Wid
    sha256: Sha256
    token: Token
    epoch: Epoch
    nonce: Nonce

    def is_under(self, lease: Lease) -> bool:
        """Was it acknowledged under this very lease?"""
        return (self.epoch, self.nonce) == (lease.epoch, lease.nonce)


def note_sent(tx: Transaction, sent: Iterable[Sent]) -> None:
    """Remember these."""
    tx.executemany(
        "INSERT OR REPLACE INTO sent VALUES (?, ?, ?, ?, ?, ?)",
        (
            (one.path, one.wid, one.sha256, dump_token(one.token), one.epoch, one.nonce)
            for one in sent
        ),
    )


def all_sent(tx: Transaction) -> dict[CachePath, Sent]:
    """Everything that pushes before this one have left; mostly nothing."""
    found: dict[CachePath, Sent] = {}
    for path, wid, sha256, raw, epoch, nonce in tx.execute("SELECT * FROM sent"):
        token = load_token(raw)
        if token is not None:
            of = CachePath(path)
            found[of] = Sent(of, Wid(wid), Sha256(sha256), token, Epoch(epoch), Nonce(nonce))
    return found


def forget_sent(tx: Transaction, paths: Iterable[CachePath]) -> None:
    """They are in a commit, or cannot be told from what is."""
    tx.execute("DELETE FROM sent WHERE path IN (SELECT value FROM json_each(?))", (these(paths),))


def forget_all_sent(tx: Transaction) -> None:
    """Join mode begins: the cache is another one."""
    tx.execute("DELETE FROM sent")
