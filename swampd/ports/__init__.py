"""What the core needs of the world: stores, the local tree, the journal, time, chance, threads.

The engine sees only these.  In the daemon they are real; in the simulator every one of them is
seeded and can fail, stop or lose what was not synced.  An async method may be cancelled at any
await; a sync method (the local tree, a journal transaction) runs in a worker thread and is short.
"""

from swampd.ports.journal import Journal, Transaction
from swampd.ports.stores import (
    Body,
    Creation,
    Lacking,
    MaySend,
    ObjectStore,
    PartStore,
    Read,
    SealedFile,
    Sink,
    StoreCapabilities,
    Wanted,
)
from swampd.ports.tree import (
    Above,
    FileRead,
    FileTree,
    Kind,
    NotUtf8,
    PlaceProblem,
    ReadProblem,
    ScanRow,
    Scratch,
    Seen,
    Stamp,
    Unreadable,
)
from swampd.ports.world import Clock, Rng, Threads

__all__ = [
    "Above",
    "Body",
    "Clock",
    "Creation",
    "FileRead",
    "FileTree",
    "Journal",
    "Kind",
    "Lacking",
    "MaySend",
    "NotUtf8",
    "ObjectStore",
    "PartStore",
    "PlaceProblem",
    "Read",
    "ReadProblem",
    "Rng",
    "ScanRow",
    "Scratch",
    "SealedFile",
    "Seen",
    "Sink",
    "Stamp",
    "StoreCapabilities",
    "Threads",
    "Transaction",
    "Unreadable",
    "Wanted",
]
