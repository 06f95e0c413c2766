"""What a command costs, counted at the store's port until the lock reads `free`."""

from __future__ import annotations

import asyncio
import statistics
from typing import TYPE_CHECKING

import pytest

from swampd.domain.values import Scope
from tests.workspace.machines import Machine, machine

if TYPE_CHECKING:
    from pathlib import Path

    from tests.places.place import Place

SCOPE = Scope("data/aws-ec2/x")


def fill(one: Machine, count: int) -> None:
    """So many small files in the scope."""
    for i in range(count):
        one.write(f"{SCOPE}/{i // 100}/f{i}", b"%d" % i)


async def locked_push(one: Machine, path: str, content: bytes) -> None:
    """lock, edit, push, release, as `lock run` does it."""
    hold = await one.workspace.lock([SCOPE], one.asker)
    one.write(path, content)
    await one.push(SCOPE)
    await one.workspace.release(hold)
    await one.until_free(SCOPE)
    await one.until_free(Scope("data"))


@pytest.mark.timeout(280)
@pytest.mark.parametrize("files", [100, 2_000, pytest.param(20_000, marks=pytest.mark.long)])
def test_requests_do_not_depend_on_the_number_of_files(
    tmp_path: Path, place: Place, files: int
) -> None:
    async def main() -> None:
        async with machine(tmp_path, "a", place) as a:
            a.write("data/other/first", b"1")
            await a.push()
            fill(a, files)
            await a.push("data")
            await a.until_free(Scope("data"))
            a.store.reset()

            await a.push()
            assert a.store.total == 0, a.store.operations

            await a.pull("data")
            assert a.store.total == 1, a.store.operations

            a.store.reset()
            await locked_push(a, f"{SCOPE}/0/f0", b"declared by this")
            assert a.store.total <= 14, a.store.operations

            a.store.reset()
            await locked_push(a, f"{SCOPE}/0/f1", b"held here before")
            assert a.store.total <= 8, a.store.operations

            a.store.reset()
            await locked_push(a, f"{SCOPE}/0/f1", b"the same file once more")
            assert a.store.total <= 8, a.store.operations

    asyncio.run(main())


@pytest.mark.long
@pytest.mark.timeout(1200)
def test_control_data_of_500_rounds_in_a_scope_of_20000(
    tmp_path: Path, place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    async def main() -> None:
        async with machine(tmp_path, "a", place) as a:
            fill(a, 20_000)
            await a.push("data")
            await locked_push(a, f"{SCOPE}/0/f0", b"declared")
            sizes, flushes, longest = [], 0, 0
            for i in range(500):
                a.store.reset()
                hold = await a.workspace.lock([SCOPE], a.asker)
                a.write(f"{SCOPE}/{i * 40 // 100}/f{i * 40}", b"round %d" % i)
                await a.push(SCOPE)
                await a.workspace.release(hold)
                sizes.append(a.store.control_bytes - sum(a.store.manifest_bytes))
                flushes += len(a.store.manifest_bytes)
                longest = max(longest, *a.store.manifest_bytes, 0)
                sizes_with = sizes[-1] + sum(a.store.manifest_bytes)
                totals.append(sizes_with)
            p95 = statistics.quantiles(sizes, n=20)[-1]
            mean = statistics.fmean(totals)
            with capsys.disabled():
                print(  # noqa: T201 - the figures are what this shows
                    f"\n500 rounds: claim + commit p95 {p95 / 1024:.1f} KiB, mean with manifests "
                    f"{mean / 1024:.1f} KiB, {flushes} flushes, longest {longest / 1024:.1f} KiB"
                )
            assert p95 < 40 * 1024
            assert mean < 32 * 1024

    totals: list[int] = []
    asyncio.run(main())
