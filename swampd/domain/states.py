"""The closed sets of what can be wrong: halts, states of a path, kinds of conflict (section 7).

Each member says the way out: what a person types.
"""

from __future__ import annotations

from enum import Enum


class Halt(Enum):
    """Why a scope or a workspace stopped for safety."""

    HEAD_WENT_BACK = "head_went_back"
    HEAD_DAMAGED = "head_damaged"
    DATASTORE_CHANGED = "datastore_changed"
    TOO_MANY_DELETES = "too_many_deletes"
    LOW_SPACE = "low_space"
    CACHE_MISSING = "cache_missing"

    @property
    def way_out(self) -> str:
        """What to do about it."""
        return _HALTS[self]


class PathState(Enum):
    """Why a path is not in sync."""

    CONFLICT = "conflict"
    BUSY = "busy"
    UNREADABLE = "unreadable"
    UNSETTLED = "unsettled"
    MISSING = "missing"
    NAME_COLLISION = "name_collision"
    REFUSED_NAME = "refused_name"
    SYMLINK = "symlink"
    NOT_A_FILE = "not_a_file"
    HELD_BACK = "held_back"
    UNCOMMITTED = "uncommitted"

    @property
    def way_out(self) -> str:
        """What to do about it."""
        return _PATHS[self]


class ConflictKind(Enum):
    """How two contents of one path came about."""

    BOTH_CHANGED = "both_changed"
    BOTH_NEW = "both_new"
    JOIN_TOMBSTONE = "join_tombstone"
    FOREIGN_OBJECT = "foreign_object"
    NAME_COLLISION = "name_collision"
    KEPT_BYTES = "kept_bytes"

    @property
    def way_out(self) -> str:
        """What to do about it."""
        return _CONFLICTS[self]


_RESOLVE = "run `swampctl conflicts resolve PATH --ours|--theirs|--both`"

_HALTS = {
    Halt.HEAD_WENT_BACK: "the store was rolled back: restore its newest state, nothing is deleted "
    "or overwritten on either side until then",
    Halt.HEAD_DAMAGED: "restore the head from a version or a backup of the store",
    Halt.DATASTORE_CHANGED: "this cache belongs to another datastore: point `.swamp.yaml` at it, "
    "or use another repoId for this one",
    Halt.TOO_MANY_DELETES: "check that the deletes are meant, then run the command again with "
    "`--allow-deletes`",
    Halt.LOW_SPACE: "free some disk space; pulls go on by themselves then, pushes still work",
    Halt.CACHE_MISSING: "mount or restore the cache directory, then run "
    "`swampctl daemon stop` and the command again",
}
_PATHS = {
    PathState.CONFLICT: _RESOLVE,
    PathState.BUSY: "somebody is writing it: push again when they are done",
    PathState.UNREADABLE: "give the daemon's user the right to read it",
    PathState.UNSETTLED: "pull again: its plain key is being brought up",
    PathState.MISSING: "its object is gone from the store: push from a machine that has the file",
    PathState.NAME_COLLISION: "rename one of the two names that collide",
    PathState.REFUSED_NAME: "rename it to a name that every store and file system can have",
    PathState.SYMLINK: "links are not synced: replace it by a file, or keep it local",
    PathState.NOT_A_FILE: "only regular files are synced",
    PathState.HELD_BACK: "it waits for the rest of its directory: see the other paths there",
    PathState.UNCOMMITTED: "its last commit is not answered yet: the daemon goes on finding out",
}
_CONFLICTS = {
    ConflictKind.BOTH_CHANGED: _RESOLVE,
    ConflictKind.BOTH_NEW: _RESOLVE,
    ConflictKind.JOIN_TOMBSTONE: _RESOLVE,
    ConflictKind.FOREIGN_OBJECT: "an object that swampd did not write is at its key: move it away "
    "in the store, then push again",
    ConflictKind.NAME_COLLISION: "rename one of the two, then push again",
    ConflictKind.KEPT_BYTES: _RESOLVE,
}
