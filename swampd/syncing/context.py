"""What every step of push and pull works with: the ports, the heads, and who we are."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from swampd.domain.sizes import SIZES, Sizes

if TYPE_CHECKING:
    from swampd.domain.layout import Keys
    from swampd.indexing.manifests import Manifests
    from swampd.indexing.reading import HeadReader
    from swampd.indexing.writing import HeadWriter
    from swampd.ports import Clock, FileTree, Journal, ObjectStore, Rng, Threads
    from swampd.waiting import Pace


@dataclass(frozen=True, slots=True)
class Sync:
    """One workspace's parts, wired together by `workspace.py` (or by the simulator)."""

    store: ObjectStore
    keys: Keys
    journal: Journal
    tree: FileTree
    clock: Clock
    rng: Rng
    threads: Threads
    reader: HeadReader
    writer: HeadWriter
    manifests: Manifests
    pace: Pace
    workspace: str
    """Names this cache in its marker."""
    sizes: Sizes = SIZES
    uploads: set[tuple[str, str]] = field(default_factory=set, compare=False)
    """Objects that are being sent in parts now: the uploads' ids, and their keys."""
    aborts: Counter[tuple[str, str]] = field(default_factory=Counter, compare=False)
    """How often the store did not abort one of those that were left."""
    copies: asyncio.Lock = field(default_factory=asyncio.Lock, compare=False)
    """One at a time removes conflict copies."""
    awaited: dict[int, float] = field(default_factory=dict, compare=False)
    """Requests on plain keys under way, with the time at which the journal says they are sent."""
