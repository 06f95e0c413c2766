"""The probe takes every store of ours, and leaves nothing behind."""

from __future__ import annotations

import asyncio
import random
from typing import TYPE_CHECKING

from swampd.domain.layout import Keys
from swampd.stores.probe import Verdict, probe
from tests.contract.test_listing import names

if TYPE_CHECKING:
    from tests.contract.subjects import Subject


class SeededRng:
    """`ports.Rng` from a seed."""

    def __init__(self, seed: int = 1) -> None:
        self._random = random.Random(seed)

    def uuid(self) -> str:
        return f"{self._random.getrandbits(128):032x}"

    def uniform(self, low: float, high: float) -> float:
        return self._random.uniform(low, high)


def test_the_probe_takes_this_store(subject: Subject) -> None:
    async def run() -> None:
        report = await probe(subject.store, subject.other, Keys("team/x"), SeededRng())
        assert report.refused is None
        report.require()
        for check, verdict in report.verdicts.items():
            lacks = check in subject.lacks
            assert verdict is (Verdict.NOT_SUPPORTED if lacks else Verdict.KEPT), check
        assert await names(subject.store) == []

    asyncio.run(run())
