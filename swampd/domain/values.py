"""The small words that everything else is spelt with.

A string that is a kind of path, id or token has a type of its own, so that the namespaced key and
the plain path, or an epoch and a seq, cannot be mixed up unseen.  The types of numbers and ids say
their bounds and form here, once: whatever decodes a document refuses it where one is exceeded, so
that nothing out of a store overflows the journal or becomes part of a key unseen (S9).

Values that there may be a million of are structs with `gc=False`: they hold nothing but other
values, so the collector of cycles need not look at them again and again.
"""

from __future__ import annotations

from typing import Annotated, Final, NewType

import msgspec

MOST: Final = 10**18 - 1
"""No number in a document is higher: 18 digits fit a payload's mark, and one more the journal."""
LEAST_TIME: Final = -(2**63)
MOST_TIME: Final = 2**63 - 1
"""Times are what 64 bits hold."""
HEX_32: Final = "[0-9a-f]{32}"
HEX_64: Final = "[0-9a-f]{64}"

Count = Annotated[int, msgspec.Meta(ge=0, le=MOST)]
"""How many, how large, or the how manieth."""

Pid = Annotated[int, msgspec.Meta(ge=0, le=2**31 - 1)]
"""A process id, as the kernel and the contract spell it."""

Time = Annotated[int, msgspec.Meta(ge=LEAST_TIME, le=MOST_TIME)]
"""Nanoseconds or milliseconds of some machine's wall clock, also before 1970."""

Uuid = Annotated[str, msgspec.Meta(pattern=rf"\A{HEX_32}\Z")]
"""A uuid as 32 lower-case hex digits."""

Digest = Annotated[str, msgspec.Meta(pattern=rf"\A{HEX_64}\Z")]
"""A sha256 as 64 lower-case hex digits."""

CachePath = NewType("CachePath", str)
"""A path relative to the cache root, `/` between segments; made by `parse_cache_path` only."""

RemoteKey = NewType("RemoteKey", str)
"""A full key in the store, prefix included; made by `layout.Keys` only."""

Scope = NewType("Scope", str)
"""`*`, `.` or a cache path: a part of the tree with one head and one lock (see `scopes`)."""

Wid = NewType("Wid", Uuid)
"""A fresh uuid of one write."""

Nonce = NewType("Nonce", Uuid)
"""A fresh uuid of one acquisition: what makes a lock record *mine*."""

Epoch = NewType("Epoch", Count)
"""The number of an acquisition of one lock; never goes down (L1)."""

Seq = NewType("Seq", Count)
"""The number of a commit on one head; grows by one (L4)."""

Sha256 = NewType("Sha256", Digest)
"""The digest of a content."""

DatastoreId = NewType("DatastoreId", Uuid)
"""The random id that `layout.json` gives a prefix for its lifetime."""

BootId = NewType("BootId", str)
"""The kernel's id of one boot; clocks of two boots are never compared."""


class Token(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A store's version of one object; `[e_tag, version]` in JSON.

    Equal tokens mean equal bytes.  On a store whose tokens are content hashes an earlier token
    can come back with the earlier bytes (PROTOCOLS section 2).
    """

    e_tag: str
    version: str | None = None


class Content(msgspec.Struct, frozen=True, gc=False):
    """What a path holds: length in bytes, digest, and the owner's execute bit."""

    size: Count
    sha256: Sha256
    x: bool = False
