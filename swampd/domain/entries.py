"""What a head says of a path: an entry (it is there, with this content) or a tombstone (gone).

An entry with a redo copy has its content in the head or in a staged object until the plain key
holds it (section 4, redo, mirror, settle).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from swampd.domain.values import CachePath, Content, Count, Seq, Sha256, Time, Token, Wid

if TYPE_CHECKING:
    from collections.abc import Mapping

INLINE_TOTAL = 64 * 1024
"""All inline contents of one head together, in bytes."""


class Redo(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """Where the content is until the plain key holds it: in the head, or staged under a wid, one of
    the two."""

    inline: bytes | None = None
    staged: Wid | None = None


class Entry(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """A path that exists.

    With `redo`, `token` is what the plain key held before (None: nothing).
    """

    size: Count
    sha256: Sha256
    mtime_ns: Time
    x: bool
    wid: Wid
    token: Token | None
    redo: Redo | None = None

    @property
    def content(self) -> Content:
        """Size, digest and execute bit: what is compared; the mtime only travels along."""
        return Content(self.size, self.sha256, self.x)


class Tombstone(msgspec.Struct, frozen=True, gc=False):
    """A path that was deleted by the commit `seq`; `swept` once its plain key is gone.

    `at` is the writer's wall clock in milliseconds, used for nothing but the 90 days.
    """

    wid: Wid
    sha256: Sha256 | None
    seq: Seq
    at: Time
    swept: bool


Record = Entry | Tombstone
"""One row of a manifest or of a head's delta."""


def inline_bytes(records: Mapping[CachePath, Record]) -> int:
    """How many bytes of inline copies these rows hold."""
    return sum(
        len(record.redo.inline)
        for record in records.values()
        if isinstance(record, Entry) and record.redo is not None and record.redo.inline is not None
    )
