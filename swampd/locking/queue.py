"""The local queue: this daemon's clients take turns, first come, first served (section 3, local).

State only, no I/O: a turn is granted when no active turn and no earlier waiting one excludes it by
the same level rule that holds on the store.  Keeps L6 between clients of one daemon, and L11.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from swampd.domain.levels import Want, any_exclude

if TYPE_CHECKING:
    from collections.abc import Iterator


class Turn:
    """One client's place in the queue; `owner` is who it is for, in the words of `Holds`."""

    def __init__(self, wants: tuple[Want, ...], owner: str, purpose: str) -> None:
        self.wants = wants
        self.owner = owner
        self.purpose = purpose
        self.granted = asyncio.Event()
        self.abandoned = False


class LocalQueue:
    """All turns of one workspace, waiting and active, in the order in which they came."""

    def __init__(self) -> None:
        self._turns: list[Turn] = []

    def enter(self, turn: Turn) -> None:
        """Line up."""
        self._turns.append(turn)
        self.move_up()

    def leave(self, turn: Turn) -> None:
        """End a turn, granted or not; those who waited for it move up."""
        if turn in self._turns:
            self._turns.remove(turn)
        self.move_up()

    def active(self) -> tuple[Turn, ...]:
        """The turns that have come and not ended."""
        return tuple(turn for turn in self._turns if turn.granted.is_set())

    def in_the_way(self, turn: Turn) -> Turn | None:
        """The first turn that a waiting one waits for."""
        return next(self._before(turn), None)

    def waits_for(self, wants: tuple[Want, ...], owner: str) -> bool:
        """Does somebody else wait for what these wants exclude?"""
        return any(
            not t.granted.is_set() and t.owner != owner and any_exclude(t.wants, wants)
            for t in self._turns
        )

    def held_besides(self, turn: Turn) -> tuple[Want, ...]:
        """What the owner of this turn has by others of its turns."""
        return tuple(
            want
            for other in self.active()
            if other.owner == turn.owner and other is not turn
            for want in other.wants
        )

    def waits_for_itself(self, turn: Turn) -> bool:
        """Would a waiting turn wait for somebody who waits for what its own owner has?  (L11)."""
        owner, open_ends, seen = turn.owner, [turn], {id(turn)}
        while open_ends:
            for other in self._before(open_ends.pop()):
                if other.granted.is_set() and other.owner == owner:
                    return True
                if not other.granted.is_set() and id(other) not in seen:
                    seen.add(id(other))
                    open_ends.append(other)
        return False

    def _before(self, turn: Turn) -> Iterator[Turn]:
        for other in self._turns:
            if other is turn:
                return
            if _excludes(other, turn):
                yield other

    def move_up(self) -> None:
        """Grant whatever nothing stands in the way of any more."""
        for turn in self._turns:
            if not turn.granted.is_set() and self.in_the_way(turn) is None:
                turn.granted.set()


def _excludes(other: Turn, turn: Turn) -> bool:
    """The level rule; a client's own gate and what it holds below it do not exclude each other."""
    if other.owner != turn.owner:
        return any_exclude(other.wants, turn.wants)
    mine = {want.scope for want in other.wants}
    return any(want.scope in mine for want in turn.wants)
