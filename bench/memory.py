"""Memory of a daemon that pushes one file far larger than it may grow.

The server keeps a digest of what it gets and no bytes, so that the machine needs no room for it.
"""

from __future__ import annotations

from typing import Final

from bench.findings import Finding, table
from bench.stages import stage
from tests.e2e.large_files import MOST_GROWTH_MIB, Growth, growth
from tests.places.bucket import BucketPlace
from tests.servers.responder import ResponderProcess

SIZE: Final = 2 << 30


class Memory(Finding):
    """What the daemon had, idle and at most."""

    def __init__(self, found: Growth, size: int) -> None:
        self.growth = found
        peaks = {"push": found.push, "replace": found.replace}
        shown = [
            [
                f"{word} of {size / 2**30:g} GiB",
                f"{found.idle:.0f}",
                f"{peak:.0f}",
                f"{peak - found.idle:.0f}",
                f"{MOST_GROWTH_MIB:.0f}",
            ]
            for word, peak in peaks.items()
        ]
        head = ["MiB resident", "idle", "at most", "over idle", "budget"]
        misses = [
            f"a {word} of {size / 2**30:g} GiB takes {peak - found.idle:.0f} MiB over idle, and at"
            f" most {MOST_GROWTH_MIB:.0f} are allowed"
            for word, peak in peaks.items()
            if peak - found.idle > MOST_GROWTH_MIB
        ]
        super().__init__(table(head, shown), misses)


def measure(size: int = SIZE) -> Memory:
    """Push a file of that many bytes, and replace it."""
    with stage(on_disk=True) as at:
        server = ResponderProcess("--hash-over", str(1 << 20)).start()
        try:
            place = BucketPlace(server, at.folder / "store-home")
            return Memory(growth(at.machine("a"), place, size), size)
        finally:
            server.close()
