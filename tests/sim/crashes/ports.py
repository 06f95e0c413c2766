"""The simulated ports of a daemon that a tripwire watches."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, Final, TypeVar

from tests.sim.crashes.points import When
from tests.sim.journal import SimJournal
from tests.sim.store import SimStore
from tests.sim.world import SimThreads, sim_ports

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from swampd.domain.outcomes import Unknown
    from swampd.domain.values import RemoteKey
    from swampd.ports import Transaction
    from swampd.workspace import Ports
    from tests.sim.crashes.tripwire import Tripwire
    from tests.sim.store import Network
    from tests.sim.world import Life

T = TypeVar("T")
LATE_S: Final = 50.0
"""By then the next daemon has been at work for a while."""


def watched_ports(wire: Tripwire, life: Life) -> Ports:
    """The ports of a daemon, watched; its tree tells its steps through its own hook."""
    return replace(
        sim_ports(life),
        store=WatchedStore(life.world.network, life, wire),
        journal=WatchedJournal(life, wire),
        threads=WatchedThreads(life, wire),
    )


class WatchedStore(SimStore):
    """Every request is an operation, those of one call for many too."""

    def __init__(self, network: Network, life: Life, wire: Tripwire) -> None:
        super().__init__(network, life)
        self._wire = wire
        self._late = False

    async def _read(self, what: str, key: str, read: Callable[[], Any]) -> Any:
        operation = self._wire.begins("store", what, key)
        answer = await super()._read(what, key, read)
        self._wire.ended(operation)
        return answer

    async def write(
        self,
        what: str,
        key: RemoteKey,
        body: bytes | None,
        metadata: Mapping[str, str],
        write: Callable[[], T],
    ) -> T | Unknown:
        wire, loop = self._wire, self._life.world.loop
        operation = wire.begins("store", what, key)
        self._late = wire.is_late(operation)
        # When it is sent, which is in this turn.
        loop.call_soon(wire.passes, operation, When.LATE)

        def lands() -> T:
            outcome = write()
            # Before whoever waits for the answer has its turn.
            loop.call_soon(wire.passes, operation, When.AFTER)
            return outcome

        return await super().write(what, key, body, metadata, lands)

    def _travel(self) -> float:
        if self._late:
            self._late = False
            return LATE_S
        return super()._travel()


class WatchedJournal(SimJournal):
    """Every transaction that writes is an operation, named after who writes."""

    def __init__(self, life: Life, wire: Tripwire) -> None:
        super().__init__(life)
        self._wire = wire

    async def write(self, work: Callable[[Transaction], T], *, durable: bool = True) -> T:
        what = "commit" if durable else "commit_relaxed"
        operation = self._wire.begins("journal", what, _named(work))
        result = await super().write(work, durable=durable)
        self._wire.ended(operation)
        return result


class WatchedThreads(SimThreads):
    """The last step of a piece of work is done when the work is."""

    def __init__(self, life: Life, wire: Tripwire) -> None:
        super().__init__(life)
        self._wire = wire

    async def io(self, work: Callable[[], T]) -> T:
        def watched() -> T:
            result = work()
            self._wire.step_ended()
            return result

        return await super().io(watched)


def _named(work: Callable[..., object]) -> str:
    while isinstance(work, partial):
        work = work.func
    return work.__qualname__
