"""One large file through a daemon, and the memory that it takes."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from tests.e2e.footprint import peak_mib, reset_peak, resident_mib

if TYPE_CHECKING:
    from pathlib import Path

    from tests.e2e.machines import Machine
    from tests.places.place import Place

MOST_GROWTH_MIB: Final = 150 * 10**6 / 2**20
"""150 MB."""
NAME: Final = "data/disk.img"
BLOCK: Final = 1 << 20
LIMIT_S: Final = 600.0


@dataclass(frozen=True, slots=True)
class Growth:
    """Resident memory of a daemon, in MiB."""

    idle: float
    push: float
    """The peak while a new file was pushed."""
    replace: float
    """The peak while other content took its place."""

    @property
    def most(self) -> float:
        """What was taken over idle."""
        return max(self.push, self.replace) - self.idle


def write_noise(path: Path, size: int, seed: int) -> None:
    """A file of no two blocks alike; the bytes follow from the seed."""
    noise = random.Random(seed).randbytes(BLOCK - 8)
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        for number in range(size // BLOCK):
            file.write(number.to_bytes(8, "big"))
            file.write(noise)


def growth(machine: Machine, place: Place, size: int) -> Growth:
    """Push a file of `size` bytes, and replace it."""
    machine.set_up(place)
    machine.ok("pull")
    pid = machine.daemon_pid
    idle = resident_mib(pid)
    peaks = []
    for seed in (1, 2):
        write_noise(machine.cache / NAME, size, seed)
        reset_peak(pid)
        done = machine.run("push", limit_s=LIMIT_S)
        assert done.code == 0, done
        peaks.append(peak_mib(pid))
    return Growth(idle, *peaks)
