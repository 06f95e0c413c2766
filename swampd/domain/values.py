"""The small words that everything else is spelt with.

A string that is a kind of path, id or token has a type of its own, so that the namespaced key and
the plain path, or an epoch and a seq, cannot be mixed up unseen.
"""

from __future__ import annotations

from typing import NewType

import msgspec

CachePath = NewType("CachePath", str)
"""A path relative to the cache root, `/` between segments; made by `parse_cache_path` only."""

RemoteKey = NewType("RemoteKey", str)
"""A full key in the store, prefix included; made by `layout.Keys` only."""

Scope = NewType("Scope", str)
"""`*`, `.` or a cache path: a part of the tree with one head and one lock (see `scopes`)."""

Wid = NewType("Wid", str)
"""A fresh uuid (32 hex digits) of one write."""

Nonce = NewType("Nonce", str)
"""A fresh uuid of one acquisition: what makes a lock record *mine*."""

Epoch = NewType("Epoch", int)
"""The number of an acquisition of one lock; never goes down (L1)."""

Seq = NewType("Seq", int)
"""The number of a commit on one head; grows by one (L4)."""

Sha256 = NewType("Sha256", str)
"""64 lower-case hex digits."""

DatastoreId = NewType("DatastoreId", str)
"""The random id that `layout.json` gives a prefix for its lifetime."""

BootId = NewType("BootId", str)
"""The kernel's id of one boot; clocks of two boots are never compared."""


class Token(msgspec.Struct, frozen=True, array_like=True):
    """A store's version of one object; `[e_tag, version]` in JSON.

    Equal tokens mean equal bytes.  On a store whose tokens are content hashes an earlier token
    can come back with the earlier bytes (PROTOCOLS section 2).
    """

    e_tag: str
    version: str | None = None


class Content(msgspec.Struct, frozen=True):
    """What a path holds: length in bytes, digest, and the owner's execute bit."""

    size: int
    sha256: Sha256
    x: bool = False
