"""The three-way planner: what is to be done about one path (section 6).

Compares what is here (local), what was agreed last (base) and what the head says (remote).  Keeps
S2 (nobody's edit is overwritten unseen: a conflict), S3 (what a tombstone names does not come back
unless it was edited) and S4 (what could not be looked at is never a delete).  Decides only: limits,
holds and pointers are the caller's.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

import msgspec

from swampd.domain.entries import Entry, Tombstone

if TYPE_CHECKING:
    from swampd.domain.values import Content, Seq


# --- what is here -----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Absent:
    """There is nothing at this name, and its directory could be read."""


class Present(msgspec.Struct, frozen=True, gc=False):
    """There is a regular file of this content."""

    content: Content


@dataclass(frozen=True, slots=True)
class Opaque:
    """It could not be told what is here: unreadable, busy, a link, a directory.  Never a delete."""

    reason: str
    """The value of a `states.PathState`."""


Local = Absent | Present | Opaque


# --- what to do -------------------------------------------------------------------------------


class Step(Enum):
    """What is to be done about a path; each row of the table of section 6 ends in one."""

    NOTHING = "nothing"
    """Same, same.  If the head came back to base, base moves on to its seq: there is no step
    between that and nothing, for base is the content."""
    PLACE = "place"
    """Take the head's content: new, or over the file that base and plan saw."""
    TRASH = "trash"
    """Take the head's delete: move the local file to trash."""
    PUSH = "push"
    """Send the local content."""
    PUSH_TOMBSTONE = "push_tombstone"
    """Send the local delete."""
    FORGET_AND_PUSH = "forget_and_push"
    """Changed here, gone by tombstone: the edit wins.  Base becomes "gone" at once, then push."""
    DROP_BASE = "drop_base"
    """Gone on both sides."""
    AGREE = "agree"
    """Both sides have the same content: it becomes base."""
    JOIN_TRASH = "join_trash"
    """Join mode: the file is the one that a tombstone names; move it to trash."""
    CONFLICT = "conflict"
    """Both have what the other has not seen: keep both, a person decides."""
    WENT_BACK = "went_back"
    """The head has lost a path without a tombstone: halt `head_went_back`."""
    HOLD = "hold"
    """What is here is opaque: leave it as it is."""


def plan_path(
    local: Local,
    base: Content | None,
    remote: Entry | Tombstone | None,
    *,
    joining: bool,
    base_seq: Seq,
    forgotten_seq: Seq,
) -> Step:
    """One row of the table of section 6.

    `joining`: the path is in join mode (section 7), in which there is no base, and so no delete
    that could go out; one that has a base again is out of it.  `base_seq` is the seq of the last
    head that was applied here, `forgotten_seq` the highest of the tombstones this head has dropped.
    """
    if base is not None and remote is None and base_seq >= forgotten_seq:
        # Row `any | no entry, no tombstone, base exists`, not forgotten: halt `head_went_back`.
        return Step.WENT_BACK
    if isinstance(local, Opaque):
        return Step.HOLD
    if base is None:
        return _without_base(local, remote, joining=joining)
    if isinstance(remote, Entry):
        return _head_has_it(local, base, remote.content)
    return _head_gone(local, base)


def _without_base(
    local: Absent | Present, remote: Entry | Tombstone | None, *, joining: bool
) -> Step:
    """Nothing was agreed on: new here, new there, or both."""
    if isinstance(local, Absent):
        # Row `absent | new`: place.  Of a tombstone for what is not here nothing follows, but that
        # there is nothing left to join: a file made here later is new.
        gone = Step.DROP_BASE if joining else Step.NOTHING
        return Step.PLACE if isinstance(remote, Entry) else gone
    if isinstance(remote, Entry):
        # Row `both new`: agree, or conflict; the same in join mode.
        return Step.AGREE if local.content == remote.content else Step.CONFLICT
    if joining and remote is not None and remote.sha256 is not None:
        # Section 7, only local, against a tombstone: the same sha256 to trash, another a conflict.
        return Step.JOIN_TRASH if local.content.sha256 == remote.sha256 else Step.CONFLICT
    # Row `new | absent`, in join mode "only local": push.
    return Step.PUSH


def _head_has_it(local: Absent | Present, base: Content, head: Content) -> Step:
    """The head has an entry: the same content as base, or another."""
    if head == base:
        if isinstance(local, Absent):
            # Row `gone | same`: push a tombstone.
            return Step.PUSH_TOMBSTONE
        # Rows `same | same`: nothing; `changed | same`: push.
        return Step.NOTHING if local.content == base else Step.PUSH
    if isinstance(local, Absent) or local.content == base:
        # Rows `gone | changed` and `same | changed`: place.
        return Step.PLACE
    # Row `both changed`: agree, or conflict.
    return Step.AGREE if local.content == head else Step.CONFLICT


def _head_gone(local: Absent | Present, base: Content) -> Step:
    """Gone by tombstone; one that was dropped since we looked (base_seq < forgotten_seq) counts."""
    if isinstance(local, Absent):
        # Row `gone | gone`: drop base.
        return Step.DROP_BASE
    # Rows `same | gone by tombstone`: to trash; `changed | gone`: the edit wins.
    return Step.TRASH if local.content == base else Step.FORGET_AND_PUSH
