"""Where a daemon ends: every operation on its ports passes here, is noted, and may be the last."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.sim.crashes.points import How, Left, Moment, When, is_look, plain

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.sim.world import Life, Node


@dataclass(slots=True)
class Changes:
    """How often what has changed, and what of it is on the disk."""

    tree: int = 0
    journal: int = 0
    others: int = 0
    """The store, and what people know and do."""
    marked: int = 0
    """The marker is on the disk at once, and nothing else by that."""
    tree_on_disk: int = 0
    journal_on_disk: int = 0

    def note(self, operation: str) -> None:
        """It was done."""
        port = operation.partition(".")[0]
        # What a sync does is seen in a power cut alone.
        self.tree += port == "tree" and not operation.startswith("tree.sync")
        self.journal += port == "journal"
        self.others += port == "store"
        self.marked += operation.startswith("tree.write_marker")

    def ends(self, node: Node, when: When) -> dict[How, Left]:
        """The ends that differ now, by what is not on the disk, and what each would leave."""
        tree, disk, now = node.tree, node.disk, node.world.time
        names, bytes_too, commits = tree.unsynced > 0, tree.unsaved > 0, disk.forgets
        if not names:
            self.tree_on_disk = self.tree
        if not commits:
            self.journal_on_disk = self.journal
        synced = self.tree_on_disk + self.marked
        ends = {How.KILLED: Left(self.tree, self.journal, self.others, now)}
        if names or bytes_too or commits or when is When.LATE:
            ends[How.POWER] = Left(synced, self.journal_on_disk, self.others, now)
        if when is When.LATE:
            return ends
        if names and (bytes_too or commits):
            ends[How.POWER_NAMES] = Left(self.tree, self.journal_on_disk, self.others, now)
        if commits and (names or bytes_too):
            ends[How.POWER_JOURNAL] = Left(synced, self.journal, self.others, now)
        return ends


class Tripwire:
    """Watches the daemons of one machine while it is armed, and ends one of them at most."""

    def __init__(self, node: Node, before_death: Callable[[], None]) -> None:
        self._node = node
        self._before_death = before_death
        self._armed = False
        self._target: tuple[str, When] | None = None
        self._how = How.KILLED
        self._counts: Counter[str] = Counter()
        self._in_tree: str | None = None
        self._changes = Changes()
        self.passed: list[Moment] = []
        """Where it could have ended, in this order."""
        self.tripped = asyncio.Event()

    def arm(self, target: tuple[str, When] | None, how: How = How.KILLED) -> None:
        """Note operations from now on, and end the daemon at this one."""
        self._armed, self._target, self._how = True, target, how
        self._counts.clear()
        self._in_tree, self._changes = None, Changes()
        self.passed = []
        self.tripped.clear()

    def disarm(self) -> None:
        """Nothing is noted any more."""
        self._armed, self._in_tree = False, None

    def others_changed(self) -> None:
        """Somebody was told what became of it, or edited just now."""
        self._changes.others += 1

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
        if when is not When.BEFORE and not is_look(operation):
            self._changes.note(operation)
        self.passed.append(Moment(operation, when, self._changes.ends(self._node, when)))
        if (operation, when) != self._target:
            return False
        self.disarm()
        self._before_death()
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


def stop(node: Node, how: How) -> None:
    """End the daemon of a machine, and take back what was not on its disk."""
    node.kill()
    if how is not How.KILLED:
        node.reboot()
    kept = node.tree.unsynced if how is How.POWER_NAMES else 0
    node.tree.crash(lose=how is not How.KILLED, kept=kept)
    node.disk.crash(lose=how in (How.POWER, How.POWER_NAMES))
