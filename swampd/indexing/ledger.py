"""What the journal remembers of heads: the last one adopted, the highest ever seen, halts."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from swampd.domain.codec import DecodedHead, decode_head, encode_head
from swampd.domain.states import Halt
from swampd.domain.values import Epoch, Scope, Seq, Token
from swampd.locking.ledger import dump_token, load_token

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from swampd.domain.heads import Head
    from swampd.domain.paths import PathProblem
    from swampd.domain.values import Wid
    from swampd.ports import Transaction


KEPT: Final = 32
"""So many decoded heads are kept at hand, by all of their bytes; one has at most some 100 KB."""


@dataclass(frozen=True, slots=True)
class KnownHead:
    """A head as the journal has it: its rows are in `rows` under the same transaction."""

    head: Head
    token: Token


def known_head(tx: Transaction, scope: Scope) -> KnownHead | None:
    """The head that was adopted last; None when none was."""
    rows = tx.execute("SELECT body, token FROM head WHERE scope = ?", (scope,))
    for body, text in rows:
        return _decoded(body, text, scope) if body is not None else None
    return None


@lru_cache(maxsize=KEPT)
def _decoded(body: bytes, text: str | None, scope: Scope) -> KnownHead | None:
    """The head that these bytes are, whenever they are asked about: nobody changes it."""
    token, decoded = load_token(text), decode_head(body, scope)
    if token is None or not isinstance(decoded, DecodedHead):
        return None
    return KnownHead(decoded.head, token)


def save_head(tx: Transaction, head: Head, token: Token) -> None:
    """Adopt a head; the peak of (epoch, seq) never goes down."""
    tx.execute(
        "INSERT INTO head VALUES (?, ?, ?, ?, ?) ON CONFLICT (scope) DO UPDATE SET"
        " token = excluded.token, body = excluded.body, epoch = max(epoch, excluded.epoch),"
        " seq = max(seq, excluded.seq)",
        (head.scope, dump_token(token), encode_head(head), head.epoch, head.seq),
    )


def peak(tx: Transaction, scope: Scope) -> tuple[Epoch, Seq] | None:
    """The highest epoch and seq ever seen of this head; None when it was never seen."""
    for epoch, seq in tx.execute("SELECT epoch, seq FROM head WHERE scope = ?", (scope,)):
        return Epoch(epoch), Seq(seq)
    return None


def raise_peak(tx: Transaction, scope: Scope, epoch: Epoch, seq: Seq) -> None:
    """What a scope inherits when it is declared: its parent's seq, before its head was seen."""
    tx.execute(
        "INSERT INTO head VALUES (?, NULL, NULL, ?, ?) ON CONFLICT (scope) DO NOTHING",
        (scope, epoch, seq),
    )


def head_tokens(tx: Transaction) -> dict[Scope, Token]:
    """The tokens of all adopted heads."""
    found: dict[Scope, Token] = {}
    for scope, text in tx.execute("SELECT scope, token FROM head WHERE token IS NOT NULL"):
        token = load_token(text)
        if token is not None:
            found[Scope(scope)] = token
    return found


def known_scopes(tx: Transaction) -> list[Scope]:
    """All scopes whose heads were adopted, sorted."""
    return sorted(head_tokens(tx))


def children_of(tx: Transaction, top: Scope) -> list[Scope]:
    """The declared scopes that a top-level head names."""
    known = known_head(tx, top)
    return sorted(known.head.children) if known is not None else []


def seen_of(tx: Transaction, scopes: Iterable[Scope]) -> set[Scope]:
    """Those of these scopes whose own head was seen here."""
    return {scope for scope in scopes if known_head(tx, scope) is not None}


# --- halts ------------------------------------------------------------------------------------


def note_halt(tx: Transaction, scope: Scope, halt: Halt, detail: str) -> None:
    """The scope stops for safety until a person has decided."""
    tx.execute("INSERT OR REPLACE INTO halt VALUES (?, ?, ?)", (scope, halt.value, detail))


def lift_halt(tx: Transaction, scope: Scope, halt: Halt) -> None:
    """The cause is gone, or a person has decided."""
    tx.execute("DELETE FROM halt WHERE scope = ? AND halt = ?", (scope, halt.value))


def halts(tx: Transaction) -> list[tuple[Scope, Halt, str]]:
    """All halts, with their details."""
    rows = tx.execute("SELECT scope, halt, detail FROM halt ORDER BY scope, halt")
    return [(Scope(scope), Halt(halt), detail) for scope, halt, detail in rows]


def halts_of(tx: Transaction, scope: Scope) -> list[tuple[Halt, str]]:
    """The halts of one scope."""
    rows = tx.execute("SELECT halt, detail FROM halt WHERE scope = ? ORDER BY halt", (scope,))
    return [(Halt(halt), detail) for halt, detail in rows]


def stops(tx: Transaction, scope: Scope) -> list[tuple[Halt, str]]:
    """The halts of one scope that let nothing be pushed or pulled."""
    return [(halt, detail) for halt, detail in halts_of(tx, scope) if halt.stops]


def refused_rows(refused: Mapping[str, PathProblem | str], manifest: Wid | None) -> dict[str, str]:
    """Refused keys with their reasons as they are kept, and shown: those of a manifest name it."""
    where = _in_manifest(manifest) if manifest is not None else ""
    return {key: str(getattr(why, "value", why)) + where for key, why in refused.items()}


def _in_manifest(wid: Wid) -> str:
    return f", in manifest {wid}"


def note_refused(tx: Transaction, head: Head, refused: Mapping[str, str]) -> None:
    """Keys of a head that no cache path can be spelt so; shown, never placed.  What was noted of a
    manifest that the head still names stays."""
    still = tuple(_in_manifest(ref.wid) for ref in head.manifests)
    noted = list(tx.execute("SELECT key, reason FROM refused_key WHERE scope = ?", (head.scope,)))
    gone = [key for key, reason in noted if not (still and reason.endswith(still))]
    tx.executemany(
        "DELETE FROM refused_key WHERE scope = ? AND key = ?", ((head.scope, key) for key in gone)
    )
    tx.executemany(
        "INSERT OR REPLACE INTO refused_key VALUES (?, ?, ?)",
        ((head.scope, key, reason) for key, reason in refused.items()),
    )


def refused(tx: Transaction) -> list[tuple[str, Scope, str]]:
    """The refused keys of all heads, with their reasons."""
    rows = tx.execute("SELECT key, scope, reason FROM refused_key ORDER BY scope, key")
    return [(key, Scope(scope), reason) for key, scope, reason in rows]
