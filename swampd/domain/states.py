"""The closed sets of what can be wrong: halts, states of a path, kinds of conflict (section 7).

Every member says its way out: what a person does or types.  In capitals is what they fill in.
"""

from __future__ import annotations

from enum import Enum
from typing import Final


class Halt(Enum):
    """Why a scope or a workspace stopped for safety: nothing is deleted or overwritten then."""

    HEAD_WENT_BACK = "head_went_back"
    """The head is older than one that was seen, is gone, or lost a path without a tombstone."""
    HEAD_DAMAGED = "head_damaged"
    DATASTORE_CHANGED = "datastore_changed"
    """A head, the layout or the marker is of another datastore than the journal."""
    TOO_MANY_DELETES = "too_many_deletes"
    LOW_SPACE = "low_space"
    CACHE_MISSING = "cache_missing"
    """The cache directory is gone, or another directory is in its place."""
    MIRROR_DENIED = "mirror_denied"
    """The store lets us commit, but not delete or overwrite plain keys (object lock, a right that
    is missing): they stay behind the head.  Commits and pulls go on."""

    @property
    def stops(self) -> bool:
        """Is nothing pushed or pulled while it stands?"""
        return self is not Halt.MIRROR_DENIED

    @property
    def way_out(self) -> str:
        """What to do about it."""
        return HALT_WAYS_OUT[self]


class PathState(Enum):
    """Why a path is not in sync."""

    CONFLICT = "conflict"
    BUSY = "busy"
    """It changed each time it was read."""
    UNREADABLE = "unreadable"
    UNSETTLED = "unsettled"
    """The head is ahead of the plain key, and neither has changed since."""
    MISSING = "missing"
    """The head names it, and its bytes are not in the store.  Never a delete (S4)."""
    NAME_COLLISION = "name_collision"
    """This file system cannot have it beside another name."""
    REFUSED_NAME = "refused_name"
    """No cache path can be spelt so, or this file system cannot have the name (section 8)."""
    SYMLINK = "symlink"
    NOT_A_FILE = "not_a_file"
    """A directory, socket or device is where the path should be."""
    HELD_BACK = "held_back"
    """It waits for its directory or pointer (section 6)."""
    UNCOMMITTED = "uncommitted"
    """A commit intent with this path is open: neither taken nor pushed (section 5)."""

    @property
    def way_out(self) -> str:
        """What to do about it."""
        return PATH_WAYS_OUT[self]


class ConflictKind(Enum):
    """How a path came to have two contents of which neither has seen the other."""

    BOTH_CHANGED = "both_changed"
    BOTH_NEW = "both_new"
    JOIN_TOMBSTONE = "join_tombstone"
    """Join mode: here is another content than the one that was deleted there."""
    FOREIGN_OBJECT = "foreign_object"
    """Something that is not swampd's stands at the plain key."""
    NAME_COLLISION = "name_collision"
    """A file here where there is a directory of that name there, or the other way."""
    KEPT_BYTES = "kept_bytes"
    """A placement took out bytes that no plan had seen; they were kept."""

    @property
    def way_out(self) -> str:
        """What to do about it."""
        return CONFLICT_WAYS_OUT[self]


_RESOLVE: Final = (
    "compare the file with its copy that `swampctl conflicts list` names, then run"
    " `swampctl conflicts resolve PATH --ours|--theirs|--both`"
)

HALT_WAYS_OUT: Final = {
    Halt.HEAD_WENT_BACK: (
        "bring the newest state of the store back, from a version or a backup of it: this goes on"
        " then by itself; until then nothing is deleted or overwritten on either side"
    ),
    Halt.HEAD_DAMAGED: (
        "bring the head back from its newest version or a backup of the store (it is the file of"
        " this scope in `_control/swampd/heads/`): this goes on then by itself"
    ),
    Halt.DATASTORE_CHANGED: (
        "point `.swamp.yaml` back at the datastore that this cache belongs to, or give the repo"
        " another repoId, and with it a cache of its own"
    ),
    Halt.TOO_MANY_DELETES: (
        "see whether the files were meant to go; if they were, run"
        " `swampctl push SCOPE --allow-deletes`, or, if the deletes come from the store,"
        " `swampctl pull SCOPE --allow-deletes`"
    ),
    Halt.LOW_SPACE: "free some disk space: pulls go on then by themselves; pushes still work",
    Halt.CACHE_MISSING: (
        "mount or restore the cache directory, or run `swampctl daemon stop` to begin a new one;"
        " nothing in it counts as deleted"
    ),
    Halt.MIRROR_DENIED: (
        "give this identity the right that the message names, or lift the object lock or legal"
        " hold of what is to go: the daemon tries again by itself, and with each `swampctl push`"
        " of the scope; until then the store shows old files, and no machine takes them for new"
    ),
}

PATH_WAYS_OUT: Final = {
    PathState.CONFLICT: _RESOLVE,
    PathState.BUSY: "let what is writing it finish, then run `swampctl push PATH`",
    PathState.UNREADABLE: "give the user of the daemon the right to read it and its directory",
    PathState.UNSETTLED: (
        "run `swampctl pull PATH` later: whoever next holds the lock brings its object up"
    ),
    PathState.MISSING: (
        "the store lost its content: copy the file here from a machine that still has it, then"
        " run `swampctl push PATH`: that brings it back"
    ),
    PathState.NAME_COLLISION: "rename one of the two names that collide",
    PathState.REFUSED_NAME: "rename it to a name that every store and file system can have",
    PathState.SYMLINK: "links are not synced: put the file itself there if it is to travel",
    PathState.NOT_A_FILE: "only regular files are synced: move it away if the path is to travel",
    PathState.HELD_BACK: (
        "clear what is wrong in its directory, or with the `latest` beside it, first:"
        " `swampctl status` lists it"
    ),
    PathState.UNCOMMITTED: (
        "wait: a commit with it was sent and no answer came; the daemon goes on finding out"
    ),
}

CONFLICT_WAYS_OUT: Final = {
    ConflictKind.BOTH_CHANGED: _RESOLVE,
    ConflictKind.BOTH_NEW: _RESOLVE,
    ConflictKind.JOIN_TOMBSTONE: (
        "keep the file with `swampctl conflicts resolve PATH --ours`,"
        " or let it go with `swampctl conflicts resolve PATH --theirs`"
    ),
    ConflictKind.FOREIGN_OBJECT: (
        "move the object that swampd did not write out of the way in the store, then run"
        " `swampctl conflicts resolve PATH --ours` and `swampctl push PATH`"
    ),
    ConflictKind.NAME_COLLISION: "rename the file or the directory, then run `swampctl push PATH`",
    ConflictKind.KEPT_BYTES: _RESOLVE,
}
