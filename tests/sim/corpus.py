"""Seeds that once broke an invariant: always run."""

from __future__ import annotations

CORPUS = (
    0,
    1,
    2,
    4,
    7,
    8,
    9,
    10,
    11,
    13,
    14,
    15,
    31,
    36,
    109,
    127,
    147,
    148,
    175,
    183,
    203,
    211,
    10020,
    10073,
    11308,
)
"""What they found, in the order of the hunt: gates of the own owner freed, decisions on a content
that nobody was shown, conflict copies lost in a power cut, entries of a declared child pushed by
its parent, join mode that never met a tombstone, heads adopted out of order, a private area that
vanished under a pull, a marker written over in an emptied cache, a commit of the life before found
after the cache was replaced."""
