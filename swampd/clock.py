"""The clock port on the machine's own clocks.

Keeps true: `now` never goes back and counts the time that the machine was suspended, so a lease
that lapsed in a suspend is seen to have lapsed (section 3, L13).  `sleep` is measured on it too.

Limits: a hypervisor that stops a running machine stops its clock with it.
"""

from __future__ import annotations

import asyncio
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final
from uuid import uuid4

from swampd.domain.values import BootId

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

BOOT_ID_FILE: Final = Path("/proc/sys/kernel/random/boot_id")

SLICE_S: Final = 1.0
"""The loop's timers stand still in a suspend: none is set for longer than this."""


class PessimisticTicks:
    """For a system without a clock that runs in suspend: of the wall clock and the monotonic one
    that which went further since the last look, and never back.

    A wall clock that is set forward makes leases lapse early; one that is set back changes nothing.
    """

    def __init__(
        self,
        monotonic: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._sources = (monotonic, wall)
        self._seen = [source() for source in self._sources]
        self._total_s = 0.0

    def __call__(self) -> float:
        """Seconds since this object was made."""
        seen = [source() for source in self._sources]
        steps = (new - old for new, old in zip(seen, self._seen, strict=True))
        self._total_s += max(0.0, *steps)
        self._seen = seen
        return self._total_s


def suspend_aware_ticks(platform: str = sys.platform) -> Callable[[], float]:
    """The best source of seconds here: CLOCK_BOOTTIME (Linux), CLOCK_MONOTONIC_RAW (macOS, where
    it runs in suspend), elsewhere `PessimisticTicks`."""
    if platform == "linux":
        return lambda: time.clock_gettime(time.CLOCK_BOOTTIME)
    if platform == "darwin":
        return lambda: time.clock_gettime(time.CLOCK_MONOTONIC_RAW)
    return PessimisticTicks()


def read_boot_id(file: Path = BOOT_ID_FILE) -> BootId:
    """The kernel's id of this boot.

    Where the kernel gives none it is a fresh one for each process: then no lease is kept across a
    restart of the daemon, which is the safe side.
    """
    try:
        found = file.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError):
        found = ""
    return BootId(found or f"process-{uuid4().hex}")


class SystemClock:
    """A `ports.Clock` on real time."""

    def __init__(
        self,
        ticks: Callable[[], float] | None = None,
        pause: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        """`ticks` and `pause` are replaced in tests only."""
        self._ticks = ticks or suspend_aware_ticks()
        self._pause = pause
        self._boot_id = read_boot_id()

    @property
    def boot_id(self) -> BootId:
        """The boot that `now` counts in (`read_boot_id`)."""
        return self._boot_id

    def now(self) -> float:
        """Seconds since some moment of this boot, suspends included."""
        return self._ticks()

    def wall_ms(self) -> int:
        """Milliseconds since 1970, as the machine's owner set it."""
        return time.time_ns() // 1_000_000

    async def sleep(self, seconds: float) -> None:
        """Wait until `now` is so many seconds further; after a suspend at most `SLICE_S` late.

        Lets others run at least once, also for zero seconds.
        """
        until = self.now() + seconds
        await self._pause(max(0.0, min(seconds, SLICE_S)))
        while (left := until - self.now()) > 0:
            await self._pause(min(left, SLICE_S))
