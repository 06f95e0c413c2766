"""The event loop is never kept busy: no callback takes over 20 ms of CPU, at any size of a scope.

Pauses of the garbage collector are not counted: they come in whichever thread allocates.
"""

from __future__ import annotations

import asyncio
import gc
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from tests.workspace.machines import machine

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.places.place import Place

FILES = 4000
LIMIT_S = 0.020


class Callbacks:
    """The CPU time of every callback that a loop of this thread runs."""

    def __init__(self) -> None:
        self.slow: list[tuple[float, str]] = []
        self.count = 0
        self._thread = threading.get_ident()
        self._collected = 0.0

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Watch what runs inside."""
        real = asyncio.Handle._run

        def run(handle: Any) -> None:
            before = self._now()
            real(handle)
            took = self._now() - before
            self.count += 1
            if took > LIMIT_S:
                self.slow.append((took, repr(handle)[:200]))

        gc.callbacks.append(self._collects)
        try:
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(asyncio.Handle, "_run", run)
                yield
        finally:
            gc.callbacks.remove(self._collects)

    def _now(self) -> float:
        return time.thread_time() - self._collected

    def _collects(self, phase: str, _info: object) -> None:
        if threading.get_ident() == self._thread:
            now = time.thread_time()
            self._collected += -now if phase == "start" else now


def test_no_callback_of_push_and_pull_takes_over_20_ms_of_cpu(tmp_path: Path, place: Place) -> None:
    callbacks = Callbacks()

    async def main() -> None:
        async with machine(tmp_path, "a", place) as a, machine(tmp_path, "b", place) as b:
            for number in range(FILES):
                a.write(f"data/{number % 50}/{number}", b"%d" % number)
            with callbacks.watched():
                await a.push()
                await b.pull()
                b.write("data/1/1", b"changed")
                await b.push()
                await a.pull()

    asyncio.run(main())
    assert callbacks.count > FILES / 4
    assert not callbacks.slow
