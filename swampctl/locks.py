"""Locks and holds as lines of text."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from swampctl.durations import spell

if TYPE_CHECKING:
    from google.protobuf.timestamp_pb2 import Timestamp

    from swampd.v1 import lock_pb2

LOCK_HEAD: Final = ["SCOPE", "STATE", "COVERS", "EPOCH", "AGE", "HOLDER", "PURPOSE"]
HOLD_HEAD: Final = ["HOLD", "OWNER", "AGE", "ENDS WITH", "PURPOSE"]


def age(at: Timestamp | None) -> str:
    """How long ago, by this machine's wall clock."""
    if at is None or not at.seconds:
        return "-"
    passed = datetime.now(UTC) - at.ToDatetime(UTC)
    return spell(max(0.0, passed.total_seconds()))


def lock_row(lock: lock_pb2.LockInfo) -> list[str]:
    """A lock in a table."""
    here = ", here" if lock.mine else ""
    holder = f"{lock.holder}@{lock.hostname} (pid {lock.pid}{here})" if lock.holder else "-"
    since = age(lock.acquired_at if lock.HasField("acquired_at") else None)
    return [
        lock.scope,
        lock.state,
        lock.covers,
        str(lock.epoch),
        since,
        holder,
        lock.purpose or "-",
    ]


def hold_row(hold: lock_pb2.HoldInfo) -> list[str]:
    """A hold in a table."""
    ends = "LOST" if hold.lost else hold.ends_with
    if hold.HasField("ends_in"):
        ends += f", at most {spell(hold.ends_in.ToNanoseconds() / 1e9)}"
    since = age(hold.acquired_at if hold.HasField("acquired_at") else None)
    return [", ".join(hold.scopes), hold.owner, since, ends, hold.purpose or "-"]
