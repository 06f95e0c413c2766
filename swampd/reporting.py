"""What a workspace can say of itself without asking the store: read-only looks at its journal."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from swampd.domain import scopes
from swampd.domain.paths import KEY_LIMIT
from swampd.domain.states import PathState
from swampd.indexing import ledger as heads_ledger
from swampd.syncing import ledger, local_ledger, plans

if TYPE_CHECKING:
    from swampd.domain.states import Halt
    from swampd.domain.values import Epoch, Scope, Seq
    from swampd.ports import Transaction
    from swampd.syncing.local_ledger import Conflict
    from swampd.workspace import Workspace

MOST: Final = 1000
"""Lists are cut off here, with a count of what is left out."""


@dataclass(frozen=True, slots=True)
class ScopeReport:
    """One scope, as the journal knows it."""

    scope: Scope
    epoch: Epoch
    seq: Seq
    files: int
    unapplied: int
    unsettled: int

    @property
    def declared(self) -> bool:
        """Is it a directory that was declared?"""
        return not scopes.is_top(self.scope)


@dataclass(frozen=True, slots=True)
class Report:
    """All that `status` shows of a workspace."""

    scopes: list[ScopeReport]
    halts: list[tuple[Scope, Halt, str]]
    problems: list[tuple[str, Scope, PathState, str]]
    refused_keys: int
    joining: int
    uncommitted: int
    conflicts: int
    never_synced: int


async def report(workspace: Workspace) -> Report:
    """Everything, of one consistent moment."""
    return await workspace.ports.journal.read(_report)


async def conflicts(workspace: Workspace) -> list[Conflict]:
    """The open conflicts."""
    return await workspace.ports.journal.read(local_ledger.conflicts)


async def unapplied(workspace: Workspace) -> int:
    """How many paths of the heads are not in the cache."""
    return await workspace.ports.journal.read(lambda tx: sum(_counts(tx, "unapplied").values()))


def _report(tx: Transaction) -> Report:
    refused = [
        (key[:KEY_LIMIT], scope, PathState.REFUSED_NAME, reason)
        for key, scope, reason in heads_ledger.refused(tx)
    ]
    return Report(
        _scopes(tx),
        heads_ledger.halts(tx),
        local_ledger.states(tx) + refused,
        len(refused),
        len(local_ledger.joining(tx)),
        len(ledger.commits(tx)),
        len(local_ledger.conflicts(tx)),
        plans.skipped(tx),
    )


def _scopes(tx: Transaction) -> list[ScopeReport]:
    files, waiting = _counts(tx, "base"), _counts(tx, "unapplied")
    unsettled = _counts(tx, "remote WHERE pending")
    found: list[ScopeReport] = []
    for scope in heads_ledger.known_scopes(tx):
        known = heads_ledger.known_head(tx, scope)
        if known is not None:
            found.append(
                ScopeReport(
                    scope,
                    known.head.epoch,
                    known.head.seq,
                    files.get(scope, 0),
                    waiting.get(scope, 0),
                    unsettled.get(scope, 0),
                )
            )
    return found


def _counts(tx: Transaction, rows: str) -> dict[str, int]:
    """Rows of a table (and condition) for each scope."""
    return dict(tx.execute(f"SELECT scope, count(*) FROM {rows} GROUP BY scope"))  # noqa: S608
