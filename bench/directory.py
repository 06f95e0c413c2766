"""What the main job costs on a directory store, in one process with real ports.

Requests are counted at the store's port.  CPU is that of the process (all threads) outside the
kernel, so a ratio of two sizes in one run says whether our cost per file grows.  The kernel's part
is the disk's own: the fsyncs of one push were measured at 0.6 to 1.9 ms of it per file.
"""

from __future__ import annotations

import asyncio
import logging
import os
import tempfile
import time
from pathlib import Path

import structlog

from bench.findings import Finding
from swampd.domain.values import Scope
from tests.places.folder import FolderPlace
from tests.workspace.machines import Machine, machine

SMALL = 2_000
LARGE = 20_000
MOST_GROWTH = 1.3
SCOPE = Scope("data/bench/x")


def fill(one: Machine, count: int) -> None:
    """So many files of a few bytes, 100 a directory."""
    for i in range(count):
        one.write(f"{SCOPE}/{i // 100}/f{i}", b"content of file %d" % i)


async def push_all(home: Path, count: int) -> tuple[float, float, dict[str, int]]:
    """User CPU and wall seconds of a first push of `count` files, and requests of what follows."""
    async with machine(home, "a", FolderPlace(home / "store")) as a:
        fill(a, count)
        cpu, wall = os.times().user, time.monotonic()
        await a.push()
        cpu, wall = os.times().user - cpu, time.monotonic() - wall
        await a.until_free(Scope("data"))
        return cpu, wall, await requests_of(a)


async def requests_of(a: Machine) -> dict[str, int]:
    """Requests of the commands that people type most."""
    counts: dict[str, int] = {}

    async def count(name: str, scope: Scope | None) -> None:
        if scope is not None:
            await a.until_free(scope)
            await a.until_free(Scope("data"))
        counts[name] = a.store.total
        a.store.reset()

    a.store.reset()
    await a.push()
    await count("push of nothing", None)
    await a.pull("data")
    await count("pull of nothing", None)
    for name in ("declare + push of 1 + release", "acquire + push of 1 + release"):
        hold = await a.workspace.lock([SCOPE], a.asker)
        a.write(f"{SCOPE}/0/f1", name.encode())
        await a.push(SCOPE)
        await a.workspace.release(hold)
        await count(name, SCOPE)
    return counts


def measure() -> Finding:
    """Push both sizes; the cost per file may hardly grow."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    costs: dict[int, float] = {}
    lines: list[str] = []
    for count in (SMALL, LARGE):
        with tempfile.TemporaryDirectory() as folder:
            cpu, wall, requests = asyncio.run(push_all(Path(folder), count))
        costs[count] = cpu / count
        each = f"user CPU {cpu / count * 1e6:.0f} us/file"
        lines.append(f"push of {count:6} new files: {each}, wall {wall:.1f} s")
        lines += [f"    {name}: {number} requests" for name, number in requests.items()]
    growth = costs[LARGE] / costs[SMALL]
    told = f"user CPU per file, {LARGE} against {SMALL} files: {growth:.2f} (at most {MOST_GROWTH})"
    return Finding("\n".join([*lines, told]), () if growth <= MOST_GROWTH else (told,))
