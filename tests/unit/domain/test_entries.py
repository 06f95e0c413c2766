"""Rows of a head by themselves."""

from __future__ import annotations

from swampd.domain.entries import Entry, Record, Redo, Tombstone, inline_bytes
from swampd.domain.values import CachePath, Seq, Sha256, Wid

WID = Wid("1" * 32)
SHA = Sha256("a" * 64)


def test_only_inline_copies_count_as_inline_bytes() -> None:
    rows: dict[CachePath, Record] = {
        CachePath("data/inline"): Entry(3, SHA, 0, False, WID, None, Redo(inline=b"abc")),  # noqa: FBT003
        CachePath("data/staged"): Entry(9, SHA, 0, False, WID, None, Redo(staged=WID)),  # noqa: FBT003
        CachePath("data/plain"): Entry(9, SHA, 0, False, WID, None),  # noqa: FBT003
        CachePath("data/gone"): Tombstone(WID, SHA, Seq(1), 0, swept=False),
    }
    assert inline_bytes(rows) == 3
