"""The daemon's memory of one workspace."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

T = TypeVar("T")


class Transaction(Protocol):
    """SQL inside one transaction of the journal."""

    def execute(self, sql: str, parameters: Sequence[Any] = ()) -> Iterator[tuple[Any, ...]]:
        """Run one statement; its rows."""

    def executemany(self, sql: str, rows: Iterable[Sequence[Any]]) -> None:
        """Run one statement for each row."""


class Journal(Protocol):
    """The daemon's memory of one workspace: SQLite.  Its schema is in `journal/migrations`."""

    async def write(self, work: Callable[[Transaction], T], *, durable: bool = True) -> T:
        """Run `work` in one transaction: all of it or nothing.  `durable`: on disk before this
        returns; otherwise a power cut may take it back, never a later durable one without it."""

    async def read(self, work: Callable[[Transaction], T]) -> T:
        """Run `work` on one consistent state."""
