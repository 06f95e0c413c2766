"""Requests of each command, at the server, by the number of files.

moto serves up to 10,000 files; 100,000 are put into the small responder, for moto would take
minutes.  Both are asked by the same real daemon, and both log what they were asked.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from bench.findings import Finding, table
from bench.stages import stage
from tests.e2e.costs import Till
from tests.places.bucket import BucketPlace
from tests.servers.moto import MotoServer
from tests.servers.responder import ResponderProcess

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from tests.e2e.costs import Cost

SIZES: Final = (1_000, 10_000, 100_000)
MOST_FOR_MOTO: Final = 10_000


class Requests(Finding):
    """The costs of each command by the number of files."""

    def __init__(self, costs: Mapping[int, Sequence[Cost]]) -> None:
        self.costs = costs
        super().__init__(_table(costs), tuple(_misses(costs)))


def measure(sizes: Sequence[int] = SIZES) -> Requests:
    """Count for each of these numbers of files."""
    return Requests({files: _count(files) for files in sizes})


def _count(files: int) -> list[Cost]:
    with stage() as at, _server(files, at.folder) as server:
        machine = at.machine("a")
        place = BucketPlace(server, at.folder / "store-home")
        machine.set_up(place)
        till = Till(machine, place, server)
        till.prepare(files)
        return list(till.costs())


@contextmanager
def _server(files: int, folder: Path) -> Iterator[MotoServer | ResponderProcess]:
    server = MotoServer(folder / "moto") if files <= MOST_FOR_MOTO else ResponderProcess()
    try:
        yield server.start()
    finally:
        server.close()


def _table(costs: Mapping[int, Sequence[Cost]]) -> str:
    head = ["command", "budget", *(f"{files:,} files" for files in costs), "by kind and method"]
    rows = []
    for row in zip(*costs.values(), strict=True):
        said = "; ".join(f"{kind}: {_methods(found)}" for kind, found in row[0].by_kind.items())
        rows.append([row[0].name, f"{row[0].most:,}", *(f"{cost.total:,}" for cost in row), said])
    return table(head, rows)


def _methods(found: Mapping[str, int]) -> str:
    return ", ".join(f"{count:,} {method}" for method, count in found.items())


def _misses(costs: Mapping[int, Sequence[Cost]]) -> Iterator[str]:
    for row in zip(*costs.values(), strict=True):
        for files, cost in zip(costs, row, strict=True):
            if not cost.is_within:
                yield (
                    f"{cost.name} takes {cost.total} requests with {files:,} files,"
                    f" and at most {cost.most} are allowed"
                )
        if len({str(cost.by_kind) for cost in row}) > 1:
            yield f"{row[0].name} takes other requests with other numbers of files"
