"""Which processes a hold's life hangs on, and whether they live.

A process is a pid and the time it started, in ticks since boot, so that a later process with the
same pid is not taken for it.  Only those of this boot and this pid namespace can be watched; a hold
that hangs on another ends at its release.

Limits: needs `/proc`; where there is none nothing is known, and nothing is ended for it.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

_PROC: Final = Path("/proc")
_DEAD: Final = frozenset({"Z", "X", "x"})
_STATE = 0
_START = 19


@dataclass(frozen=True, slots=True)
class Process:
    """One process of one boot, in one pid namespace."""

    pid: int
    start_ticks: int
    boot_id: str
    pid_namespace: str
    kind: str
    """What it is to the hold: `session` or `process`."""

    def row(self) -> dict[str, Any]:
        """As a hold's `life` keeps it."""
        return {
            "kind": self.kind,
            "pid": self.pid,
            "start_ticks": self.start_ticks,
            "boot_id": self.boot_id,
            "pid_namespace": self.pid_namespace,
        }


def from_row(row: dict[str, Any]) -> Process | None:
    """The process that a hold's life hangs on; None where it hangs on none."""
    if "pid" not in row:
        return None
    return Process(
        row["pid"], row["start_ticks"], row["boot_id"], row["pid_namespace"], row["kind"]
    )


def own_namespace() -> str:
    """The kernel's name of our pid namespace; empty where it has none."""
    try:
        return str((_PROC / "self" / "ns" / "pid").readlink())
    except OSError:
        return ""


def start_ticks(pid: int) -> int | None:
    """When a living process started; None when there is none (a zombie is none)."""
    try:
        raw = (_PROC / str(pid) / "stat").read_bytes()
    except OSError:
        return None
    fields = raw.rpartition(b")")[2].decode("ascii", "replace").split()
    if len(fields) <= _START or fields[_STATE] in _DEAD:
        return None
    return int(fields[_START])


def can_be_watched(process: Process, boot_id: str) -> bool:
    """Does our `/proc` speak of it?"""
    namespace = own_namespace()
    return bool(namespace) and (process.boot_id, process.pid_namespace) == (boot_id, namespace)


def is_gone(process: Process, boot_id: str) -> bool:
    """Has it ended, as far as we can see?  After a reboot it has."""
    if not can_be_watched(process, boot_id):
        return process.boot_id != boot_id and bool(own_namespace())
    return start_ticks(process.pid) != process.start_ticks
