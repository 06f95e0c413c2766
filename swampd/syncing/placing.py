"""Placing downloads and trashing deletes, never check-then-rename (section 6, pull).

Each step renames first and looks at what came out; what is not what the plan saw is put back, or
both are kept.  The intents are in the journal before the first rename, so a crash is told apart
afterwards.  What a person decided to have placed (conflicts.py) goes the same way.  Keeps S2 (no
finished bytes are lost) and S8 (no partial file, new before pointers).
Sync: runs in a worker thread.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import groupby
from typing import TYPE_CHECKING, Final

from swampd.domain.pointers import Placing, is_pointer, placing_key
from swampd.domain.states import PathState
from swampd.ports import FileRead, Kind, PlaceProblem, Seen, Stamp
from swampd.syncing.survey import LocalFile

if TYPE_CHECKING:
    from collections.abc import Iterable

    from swampd.domain.entries import Entry
    from swampd.domain.values import CachePath, Sha256
    from swampd.ports import FileTree
    from swampd.syncing.fetching import Fetched
    from swampd.syncing.plans import Plan


BATCH: Final = 256
"""So many files are downloaded, then placed."""


# --- the order ----------------------------------------------------------------------------------


def placing_order(path: CachePath, saw: LocalFile | None) -> tuple[int, int, str]:
    """Sorts downloads by when they are placed; `saw` is the file here that the plan saw."""
    return placing_key(path, Placing.NEW if saw is None else Placing.REPLACED)


def batches(plan: Plan) -> list[dict[CachePath, Entry]]:
    """What a plan places, in parts and in order; all but the pointers."""
    paths = [path for path in plan.place if not is_pointer(path)]
    paths.sort(key=lambda path: placing_order(path, plan.looks[path][1]))
    parts = [paths[start : start + BATCH] for start in range(0, len(paths), BATCH)]
    return [{path: plan.place[path] for path in part} for part in parts]


def levels(pointers: Iterable[CachePath]) -> list[list[CachePath]]:
    """Pointers by depth, the deepest first: an outer one waits for those in what it names."""
    ordered = sorted(pointers, key=lambda path: (-path.count("/"), path))
    return [list(level) for _, level in groupby(ordered, key=lambda path: path.count("/"))]


# --- the renames --------------------------------------------------------------------------------


@dataclass(slots=True)
class Placed:
    """What became of the placements."""

    files: dict[CachePath, LocalFile] = field(default_factory=dict)
    """Placed, and still what was placed when looked at again."""
    gone: list[CachePath] = field(default_factory=list)
    trashed: dict[str, tuple[CachePath, Sha256]] = field(default_factory=dict)
    """Names in trash: the path they came from and the digest that was seen."""
    kept: dict[CachePath, str] = field(default_factory=dict)
    """Bytes nobody expected, kept as conflict copies."""
    held: dict[CachePath, PathState] = field(default_factory=dict)
    again: list[CachePath] = field(default_factory=list)
    """The tree was not what the plan saw: plan these again."""
    no_space: bool = False


class Placer:
    """Places files in one tree."""

    def __init__(self, tree: FileTree) -> None:
        self._tree = tree
        self._now_ns = tree.now_ns()
        self.result = Placed()

    def place(self, ready: Fetched, saw: LocalFile | None) -> None:
        """Put a download in its place: over nothing, or over the file that the plan saw.

        Where somebody takes the private area away meanwhile (an emptied cache), it is planned
        again.
        """
        try:
            self._place(ready, saw)
        except FileNotFoundError:
            self.result.again.append(ready.path)

    def _place(self, ready: Fetched, saw: LocalFile | None) -> None:
        if saw is None:
            problem = self._tree.place_new(ready.name, ready.path)
        else:
            problem = self._tree.exchange(ready.name, ready.path)
        if problem is not None:
            self._tree.drop_tmp(ready.name)
            self._refused(ready.path, problem)
            return
        if saw is not None and not self._was_replaced(ready, saw):
            self._put_back(ready)
            return
        self._look_again(ready)

    def _was_replaced(self, ready: Fetched, saw: LocalFile) -> bool:
        """Is what the plan saw in trash now?  Where that cannot be said, or not be done, what came
        out gets its name back; if not even that, the intent tells the next start of it."""
        try:
            return self._came_out(ready.name, ready.path, saw)
        except OSError:
            self._put_back(ready)
            raise

    def trash(self, path: CachePath, name: str, saw: LocalFile) -> None:
        """Move the file that the plan saw to trash; as `place` when the area is gone."""
        try:
            self._trash(path, name, saw)
        except FileNotFoundError:
            self.result.again.append(path)

    def _trash(self, path: CachePath, name: str, saw: LocalFile) -> None:
        problem = self._tree.move_to_tmp(path, name)
        if problem is PlaceProblem.ABSENT:
            self.result.gone.append(path)
            return
        if problem is not None:
            self._refused(path, problem)
            return
        if not self._came_out(name, path, saw):
            self._restore(name, path)
            self.result.again.append(path)
            return
        self._tree.prune_empty(path)
        self.result.gone.append(path)

    # --- what came out ------------------------------------------------------------------------

    def _came_out(self, name: str, path: CachePath, saw: LocalFile) -> bool:
        """Is what was renamed away what the plan saw?  Then it goes to trash: first its kind, then
        inode, size and mtime, and on any doubt its bytes."""
        seen = self._tree.stat_tmp(name)
        if seen is None or seen.kind is not Kind.FILE or seen.stamp is None:
            return False
        same = _same_file(seen.stamp, saw.stamp) and not saw.racy
        if not same:
            read = self._tree.hash_tmp(name)
            if not isinstance(read, FileRead) or read.sha256 != saw.content.sha256:
                return False
            if read.stamp.x != saw.content.x:
                return False
        self._tree.tmp_to_trash(name)
        self.result.trashed[name] = (path, saw.content.sha256)
        return True

    def _put_back(self, ready: Fetched) -> None:
        """The exchange took something else than was planned for: exchange again."""
        problem = self._tree.exchange(ready.name, ready.path)
        if problem is None:
            seen = self._tree.stat_tmp(ready.name)
            if seen is not None and seen.stamp is not None and _same_file(seen.stamp, ready.stamp):
                self._tree.drop_tmp(ready.name)
            else:
                self.result.kept[ready.path] = self._tree.tmp_to_conflicts(ready.name, ready.path)
        else:
            self._restore(ready.name, ready.path)
        self.result.again.append(ready.path)

    def _restore(self, name: str, path: CachePath) -> None:
        """Give a file its name back; where the name is taken meanwhile, keep both."""
        if self._tree.place_new(name, path) is not None:
            self.result.kept[path] = self._tree.tmp_to_conflicts(name, path)

    def _look_again(self, ready: Fetched) -> None:
        """After the rename: base only if the name still holds the file that was placed."""
        seen: Seen | None = self._tree.stat(ready.path)
        if seen is None or seen.stamp is None or not _same_file(seen.stamp, ready.stamp):
            self.result.again.append(ready.path)
            return
        racy = seen.stamp.ctime_ns >= self._now_ns or seen.stamp.mtime_ns >= self._now_ns
        self.result.files[ready.path] = LocalFile(ready.content, seen.stamp, racy)

    def _refused(self, path: CachePath, problem: PlaceProblem) -> None:
        if problem is PlaceProblem.NO_SPACE:
            self.result.no_space = True
            self.result.again.append(path)
        elif problem is PlaceProblem.NAME_REFUSED:
            self.result.held[path] = PathState.REFUSED_NAME
        elif problem is PlaceProblem.BLOCKED:
            self.result.held[path] = PathState.NAME_COLLISION
        else:
            self.result.again.append(path)


def _same_file(one: Stamp, other: Stamp) -> bool:
    """Inode, size, mtime and the execute bit: a rename changes ctime."""
    return (one.dev, one.ino, one.size, one.mtime_ns, one.x) == (
        other.dev,
        other.ino,
        other.size,
        other.mtime_ns,
        other.x,
    )
