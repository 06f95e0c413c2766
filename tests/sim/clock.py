"""The clock port on the virtual loop, for tests of one part that need no whole world."""

from __future__ import annotations

import asyncio

from swampd.domain.values import BootId

BEGAN_MS = 1_750_000_000_000


class LoopClock:
    """The virtual loop's time."""

    boot_id = BootId("boot")

    def now(self) -> float:
        return asyncio.get_running_loop().time()

    def wall_ms(self) -> int:
        return BEGAN_MS + round(self.now() * 1000)

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)
