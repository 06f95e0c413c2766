"""Work that a stream reports on while it is under way."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeVar

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Coroutine

    from swampd.serving import Workspaces

T = TypeVar("T")
EVERY_S: Final = 1.0


@dataclass(frozen=True, slots=True)
class Working:
    """Not done yet."""

    elapsed_s: float


@dataclass(frozen=True, slots=True)
class _Failed:
    error: Exception


async def with_progress(
    work: Coroutine[object, object, T], workspaces: Workspaces
) -> AsyncIterator[Working | T]:
    """`Working` once a second, then what the work answers.  Ending the iteration cancels it."""
    clock = workspaces.world.clock
    began = clock.now()
    task = workspaces.start(_caught(work))
    try:
        while not (await asyncio.wait((task,), timeout=EVERY_S))[0]:
            yield Working(clock.now() - began)
        result = task.result()
        if isinstance(result, _Failed):
            raise result.error
        yield result
    finally:
        task.cancel()


async def _caught(work: Coroutine[object, object, T]) -> T | _Failed:
    """Its error as a value: the group that it runs in goes on."""
    try:
        return await work
    except Exception as error:  # noqa: BLE001 - raised again by whoever waits for it
        return _Failed(error)
