"""Who asks: the facts by which the daemon tells one session or script from another.

With a controlling terminal it is the session, told apart by its leader's start time; without one
the parent process.  What cannot be told is left out: then a hold is usable by its token only.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

    from swampd.v1 import common_pb2

_PROC: Final = Path("/proc")
_DEAD: Final = frozenset({"Z", "X", "x"})
_STATE, _TERMINAL, _START = 0, 4, 19


@dataclass(frozen=True, slots=True)
class Facts:
    """What this process knows of itself."""

    boot_id: str
    pid_namespace: str
    pid: int
    leader: tuple[int, int] | None
    """Pid and start of the session's leader (start 0: it is dead); None without a terminal."""
    parent: tuple[int, int] | None


def collect(proc: Path = _PROC) -> Facts:
    """The facts of this process."""
    own = _stat(proc, os.getpid())
    leader: tuple[int, int] | None = None
    if own is not None and int(own[_TERMINAL]) != 0:
        session = os.getsid(0)
        leader = (session, start_ticks(session, proc) or 0)
    parent_pid = os.getppid()
    started = start_ticks(parent_pid, proc) if parent_pid else None
    return Facts(
        _text(proc / "sys/kernel/random/boot_id"),
        _link(proc / "self/ns/pid"),
        os.getpid(),
        leader,
        (parent_pid, started) if started is not None else None,
    )


def session(facts: Facts) -> str:
    """A name for the session or script that we are of; empty where it cannot be told."""
    kind, process = ("session", facts.leader) if facts.leader else ("process", facts.parent)
    if process is None or not process[1] or not facts.boot_id:
        return ""
    return f"{kind} {process[0]}/{process[1]}/{facts.boot_id}/{facts.pid_namespace}"


def caller(environ: Mapping[str, str], token: str | None = None) -> common_pb2.Caller:
    """The facts as the daemon wants them, with the token that is shown."""
    from swampd.v1 import common_pb2  # noqa: PLC0415 - only commands that ask load it

    facts = collect()
    message = common_pb2.Caller(
        boot_id=facts.boot_id,
        pid_namespace=facts.pid_namespace,
        pid=facts.pid,
        token=token or environ.get("SWAMP_LOCK_TOKEN", ""),
    )
    if facts.leader is not None:
        message.session_leader.pid, message.session_leader.start_ticks = facts.leader
    if facts.parent is not None:
        message.parent.pid, message.parent.start_ticks = facts.parent
    return message


def start_ticks(pid: int, proc: Path = _PROC) -> int | None:
    """When a living process started, in clock ticks since boot; None where there is none."""
    fields = _stat(proc, pid)
    if fields is None or fields[_STATE] in _DEAD:
        return None
    return int(fields[_START])


def _stat(proc: Path, pid: int) -> list[str] | None:
    """The fields behind the command name, which may hold anything."""
    try:
        raw = (proc / str(pid) / "stat").read_bytes()
    except OSError:
        return None
    fields = raw.rpartition(b")")[2].decode("ascii", "replace").split()
    return fields if len(fields) > _START else None


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii").strip()
    except OSError:
        return ""


def _link(path: Path) -> str:
    try:
        return str(path.readlink())
    except OSError:
        return ""
