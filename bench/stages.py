"""Where a measurement takes place: a folder of its own, machines that end with it.

What is fast to throw away is kept in memory if there is room, so that no disk is measured, and the
same for all who are compared.
"""

from __future__ import annotations

import shutil
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tests.e2e.machines import Machine

if TYPE_CHECKING:
    from collections.abc import Iterator

MEMORY: Final = Path("/dev/shm")  # noqa: S108 - what is made there has names of its own
ROOM: Final = 3 << 30
"""Bytes that the largest measurement in memory takes, and as much again."""


class Stage:
    """A folder, and the machines in it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._machines: list[Machine] = []

    def machine(self, name: str) -> Machine:
        """One more machine."""
        self._machines.append(Machine(self.folder, name))
        return self._machines[-1]

    def close(self) -> None:
        """End their daemons."""
        for machine in self._machines:
            machine.close()


@contextmanager
def stage(*, on_disk: bool = False) -> Iterator[Stage]:
    """A new folder, which is gone afterwards."""
    above = None if on_disk or not in_memory() else MEMORY
    with tempfile.TemporaryDirectory(prefix="swampd-bench-", dir=above) as folder:
        made = Stage(Path(folder))
        try:
            yield made
        finally:
            made.close()


def in_memory() -> bool:
    """Is there a file system in memory, with room?"""
    return MEMORY.is_dir() and shutil.disk_usage(MEMORY).free > ROOM
