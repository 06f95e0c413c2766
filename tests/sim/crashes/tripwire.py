"""Where a daemon ends: every operation on its ports passes here, is noted, and may be the last."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import TYPE_CHECKING

from tests.sim.crashes.points import How, Moment, When, plain

if TYPE_CHECKING:
    from tests.sim.world import Life, Node


class Tripwire:
    """Watches the daemons of one machine while it is armed, and ends one of them at most."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._armed = False
        self._target: tuple[str, When] | None = None
        self._how = How.KILLED
        self._counts: Counter[str] = Counter()
        self._in_tree: str | None = None
        self.passed: list[Moment] = []
        """Where it could have ended, in this order."""
        self.tripped = asyncio.Event()

    def arm(self, target: tuple[str, When] | None, how: How = How.KILLED) -> None:
        """Note operations from now on, and end the daemon at this one."""
        self._armed, self._target, self._how = True, target, how
        self._counts.clear()
        self._in_tree = None
        self.passed = []
        self.tripped.clear()

    def disarm(self) -> None:
        """Nothing is noted any more."""
        self._armed, self._in_tree = False, None

    # --- what the ports tell --------------------------------------------------------------------

    def begins(self, port: str, what: str, on: str) -> str | None:
        """Something is about to be done; its name.  Raises CancelledError where the daemon ends
        before it."""
        if not self._armed:
            return None
        kind = f"{port}.{what}:{plain(on)}"
        self._counts[kind] += 1
        operation = f"{kind}#{self._counts[kind]}"
        if self.passes(operation, When.BEFORE):
            raise asyncio.CancelledError
        return operation

    def is_late(self, operation: str | None) -> bool:
        """Is this the write that lands after its sender's end?"""
        return self._armed and (operation, When.LATE) == self._target

    def ended(self, operation: str | None) -> None:
        """It is done; raises CancelledError where the daemon ends after it."""
        if self.passes(operation, When.AFTER):
            raise asyncio.CancelledError

    def passes(self, operation: str | None, when: When) -> bool:
        """Note this moment, and end the daemon if it is the point."""
        if not self._armed or operation is None or self._node.life is None:
            return False
        self.passed.append(Moment(operation, when, _ends(self._node), self._node.world.time))
        if (operation, when) != self._target:
            return False
        self.disarm()
        stop(self._node, self._how)
        self.tripped.set()
        return True

    # --- steps in the cache, which follow each other in one piece of work -----------------------

    def step(self, life: Life | None, what: str, on: str) -> None:
        """Between two steps in the cache."""
        if life is None or life.dead:
            raise asyncio.CancelledError
        self.step_ended()
        self._in_tree = self.begins("tree", what, on)

    def step_ended(self) -> None:
        """The step before is done."""
        last, self._in_tree = self._in_tree, None
        self.ended(last)


def _ends(node: Node) -> tuple[How, ...]:
    """The ends that differ now, by what is not on the disk."""
    ends = [How.KILLED, How.POWER]
    if node.tree.unsynced:
        ends.append(How.POWER_NAMES)
    if node.disk.forgets:
        ends.append(How.POWER_JOURNAL)
    return tuple(ends)


def stop(node: Node, how: How) -> None:
    """End the daemon of a machine, and take back what was not on its disk."""
    node.kill()
    if how is not How.KILLED:
        node.reboot()
    kept = node.tree.unsynced if how is How.POWER_NAMES else 0
    node.tree.crash(lose=how is not How.KILLED, kept=kept)
    node.disk.crash(lose=how in (How.POWER, How.POWER_NAMES))
