"""A machine in virtual time whose store goes away when a test says so, and what it sent there."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import TYPE_CHECKING, Any

from swampd.domain.outcomes import Applied
from swampd.errors import StoreUnavailable
from swampd.locking.holds import Owner
from swampd.workspace import Asker
from tests.sim import loop
from tests.sim.world import World

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from tests.sim.world import Life, Node

OPERATIONS = (
    "get",
    "get_if_changed",
    "head",
    "list",
    "put",
    "create",
    "replace",
    "delete",
    "delete_if",
    "copy_to",
)


class Wire:
    """The line of one daemon to its store."""

    def __init__(self, life: Life) -> None:
        self.life = life
        self.asked: Counter[tuple[str, str]] = Counter()
        """Requests that reached the store."""
        self.refused = 0
        self.acknowledged: Counter[str] = Counter()
        """Creates of a key that the store answered with Applied."""
        self.error: Callable[[], Exception] = lambda: StoreUnavailable("no route", "see the cable")
        self.refusal_s = 0.05
        """So long it takes until a request is given up."""
        self._away_until = 0.0
        self._trip: tuple[str, int, float] | None = None
        for name in OPERATIONS:
            setattr(life.store, name, self._through(name, getattr(life.store, name)))

    def away(self, seconds: float) -> None:
        """The store is away from now on."""
        self._away_until = now() + seconds

    def away_after(self, operation: str, answers: int, seconds: float) -> None:
        """It goes away with the answer to so many of these operations from now on."""
        self._trip = (operation, answers, seconds)

    def reset(self) -> None:
        """Count from zero."""
        self.asked.clear()
        self.acknowledged.clear()
        self.refused = 0

    def count(self, operation: str, part: str) -> int:
        """Requests of this kind on keys that contain this."""
        return sum(n for (name, key), n in self.asked.items() if name == operation and part in key)

    def _through(self, name: str, real: Any) -> Any:
        async def request(key: Any, *args: Any, **kwargs: Any) -> Any:
            if now() < self._away_until:
                self.refused += 1
                await self.life.delay(self.refusal_s)
                raise self.error()
            self.asked[name, str(key)] += 1
            answer = await real(key, *args, **kwargs)
            if name == "create" and isinstance(answer, Applied):
                self.acknowledged[str(key)] += 1
            if self._trip is not None and self._trip[0] == name:
                operation, left, seconds = self._trip
                self._trip = (operation, left - 1, seconds) if left > 1 else None
                if self._trip is None:
                    self.away(seconds)
            return answer

        return request


class Desk:
    """A machine with one daemon, a user, and its line."""

    def __init__(self, node: Node) -> None:
        self.node = node
        self.life = node.start()
        self.workspace = self.life.workspace
        self.wire = Wire(self.life)
        self.owner = Owner(f"{node.name}-shell")

    def write(self, path: str, content: bytes) -> None:
        """A file that a user finished writing."""
        self.node.tree.write(path, content)
        self.node.tree.fsync(path)

    async def push(self, *scopes: str, wait_s: float = 60.0) -> Any:
        """Push these scopes (none: all); the first error is raised."""
        return _raised(await self.workspace.push(scopes or None, Asker(self.owner, None, wait_s)))

    async def pull(self, *scopes: str, wait_s: float = 60.0) -> Any:
        """Pull these scopes (none: all); the first error is raised."""
        return _raised(await self.workspace.pull(scopes or None, Asker(self.owner, None, wait_s)))


def _raised(outcome: Any) -> Any:
    for error in outcome.failed.values():
        raise error
    return outcome


def now() -> float:
    """True time."""
    return asyncio.get_running_loop().time()


def scenario(play: Callable[..., Coroutine[Any, Any, None]], machines: int = 1) -> None:
    """Play with so many desks at one store, in virtual time."""

    async def main() -> None:
        world = World(1, machines)
        desks = [Desk(node) for node in world.nodes]
        for desk in desks:
            await desk.workspace.ready.wait()
        await play(*desks)

    loop.run(main())
