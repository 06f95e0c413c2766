"""From how many bytes on a content goes another way: in the head, with others, in parts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Sizes:
    """The limits in bytes.  Nothing but speed and memory depends on them, so that a simulated
    workspace, whose files are tiny, has every way with small ones."""

    inline: int = 4 * 1024
    """A content of at most so many may travel inside the head."""
    together: int = 64 * 1024
    """Contents of at most so many are read, sent and asked for many at once."""
    stream_above: int = 16 * 1024 * 1024
    """Contents of more are never held in memory."""
    part: int = 8 * 1024 * 1024
    """One part of an upload; a service takes none under 5 MiB but the last."""


SIZES: Final = Sizes()
