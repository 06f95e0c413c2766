"""Somebody who knows nothing of swampd writes and deletes plain keys of the bucket, blindly.

Never below `_control/`.  They put bytes of their own, upload a file's bytes again without its
metadata, copy one object to another name with its metadata (`aws s3 cp`), bring an older version
back, delete.  What is promised then (section 7): nothing of theirs is overwritten or deleted where
the store can tell, nothing of theirs gets into a cache, no byte of a user is lost that a cache
has.  A content whose only object they destroyed after it was settled is missing until somebody
who has it pushes it again: `destroyed` names those paths.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from swampd.domain.metadata import read_mark
from swampd.domain.values import CachePath
from tests.sim.workloads import PATHS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.sim.users import History
    from tests.sim.world import World

WAYS: Final = {"put": 0.3, "again": 0.15, "copy": 0.15, "older": 0.15, "delete": 0.25}


@dataclass(frozen=True, slots=True)
class Theirs:
    """An object that is not ours, where it stands, and since when."""

    time: float
    body: bytes


class Foreigner:
    """What they did, and what of it still stands."""

    def __init__(self, seed: int) -> None:
        self.chances = random.Random(f"foreign {seed}")
        self.touched: set[str] = set()
        self.standing: dict[str, Theirs] = {}
        self._before: dict[str, list[tuple[bytes, Mapping[str, str]]]] = {}
        self._count = 0

    def note(self, world: World, path: str) -> None:
        """One of ours has written here: it may come back as an older version."""
        stored = world.network.objects.look(world.keys.payload(CachePath(path)))
        self.standing.pop(path, None)
        if stored is not None:
            self._before.setdefault(path, []).append((stored.body, stored.metadata))

    def act(self, world: World, history: History) -> None:
        """Do one thing."""
        way = self.chances.choices(tuple(WAYS), tuple(WAYS.values()))[0]
        path = CachePath(self.chances.choice(PATHS))
        objects = world.network.objects
        stored = objects.look(world.keys.payload(path))
        if way == "put":
            self._count += 1
            self._put(world, path, f"foreign {self._count}".encode(), {})
        elif way == "again" and stored is not None:
            self._put(world, path, stored.body, {})
        elif way == "copy":
            source = objects.look(world.keys.payload(CachePath(self.chances.choice(PATHS))))
            if source is None:
                return
            self._put(world, path, source.body, source.metadata)
        elif way == "older" and path in self._before:
            self._put(world, path, *self.chances.choice(self._before[path]))
        elif way == "delete" and stored is not None:
            self.standing.pop(path, None)
            objects.delete(world.keys.payload(path))
        else:
            return
        self.touched.add(path)
        history.count(f"foreign {way}")
        world.network.trace.append(f"{world.time:.6f} foreign {way} {path}")

    def _put(self, world: World, path: CachePath, body: bytes, metadata: Mapping[str, str]) -> None:
        world.network.objects.put(world.keys.payload(path), body, metadata)
        self.standing.pop(path, None)
        if read_mark(path, metadata) is None:
            self.standing[path] = Theirs(world.time, body)

    def tidy(self, world: World) -> None:
        """The way out of a conflict with them: their objects are moved out of the way."""
        for path in self.standing:
            world.network.objects.delete(world.keys.payload(CachePath(path)))
        self.standing.clear()
