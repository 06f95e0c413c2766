"""One daemon for each state directory, and what tells this run from others and from a copy.

The daemon holds `flock` on `swampd.lock` for its life.  The file is never deleted: its (dev, inode)
is part of the identity.  A state directory that was copied, or that comes from another boot, shows
by it, and whoever starts there takes a new daemon id (section 3, restart).

Standard library only: it runs before the heavy imports.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import socket
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final
from uuid import uuid4

from swampd import locations
from swampd.errors import DaemonRunning, UnsafeLocation
from swampd.locations import LockFile

if TYPE_CHECKING:
    from collections.abc import Mapping

_PADDED_BYTES: Final = 1024
"""The lock file is written in one piece of this size, so that no reader meets half of it."""
_ANSWER_WAIT_S: Final = 2.0
_BOOT_ID: Final = Path("/proc/sys/kernel/random/boot_id")


@dataclass(frozen=True, slots=True)
class Instance:
    """A run of the daemon, once it has its state directory to itself."""

    state: Path
    socket: Path
    daemon_id: str
    instance_id: str
    boot_id: str
    device: int
    inode: int
    descriptor: int
    """Holds the flock: never closed before the process ends."""


def claim(environ: Mapping[str, str], boot_id: str | None = None) -> Instance:
    """Take the state directory for this process.

    Raises DaemonRunning that names the pid of the daemon that has it, UnsafeLocation for a place
    that must not be used.
    """
    state = locations.state_dir(environ)
    locations.ensure_private_dir(state)
    where = locations.default_socket(environ)
    locations.ensure_private_dir(where.parent)
    boot = boot_id or read_boot_id()
    descriptor = _lock(state)
    try:
        clear_socket(where)
        found = os.fstat(descriptor)
        identity = _identity(state, boot, found)
        _write(descriptor, LockFile(os.getpid(), str(where), boot))
    except BaseException:
        os.close(descriptor)
        raise
    return Instance(
        state, where, identity, uuid4().hex, boot, found.st_dev, found.st_ino, descriptor
    )


def read_boot_id() -> str:
    """The kernel's id of this boot; a fresh one for this process where it gives none."""
    with contextlib.suppress(OSError, UnicodeDecodeError):
        found = _BOOT_ID.read_text(encoding="ascii").strip()
        if found:
            return found
    return f"process-{uuid4().hex}"


def _lock(state: Path) -> int:
    path = locations.lock_file(state)
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(descriptor)
            if error.errno not in {errno.EWOULDBLOCK, errno.EACCES}:
                raise
            raise _running(state) from error
        if _is_at(descriptor, path):
            return descriptor
        os.close(descriptor)


def _is_at(descriptor: int, path: Path) -> bool:
    try:
        there = path.lstat()
    except FileNotFoundError:
        return False
    here = os.fstat(descriptor)
    return (here.st_dev, here.st_ino) == (there.st_dev, there.st_ino)


def _running(state: Path) -> DaemonRunning:
    found = locations.read_lock_file(state)
    who = f"pid {found.pid}" if found is not None else "a pid that is not known yet"
    return DaemonRunning(
        f"a swampd is already running for {state}: {who}",
        "use it, or stop it: `swampctl daemon stop`",
        pid=str(found.pid) if found is not None else "",
    )


def _write(descriptor: int, content: LockFile) -> None:
    os.pwrite(descriptor, content.to_bytes().ljust(_PADDED_BYTES), 0)
    os.ftruncate(descriptor, _PADDED_BYTES)


def _identity(state: Path, boot_id: str, lock: os.stat_result) -> str:
    """The daemon's id: the one that is there if boot and lock file fit, else a new one."""
    path = state / "daemon.json"
    here = {"boot_id": boot_id, "device": lock.st_dev, "inode": lock.st_ino}
    try:
        found = json.loads(path.read_bytes())
    except (OSError, ValueError):
        found = {}
    if isinstance(found, dict):
        daemon_id = found.pop("daemon_id", None)
        if found == here and isinstance(daemon_id, str):
            return daemon_id
    daemon_id = uuid4().hex
    draft = path.with_suffix(".new")
    draft.write_text(json.dumps({"daemon_id": daemon_id, **here}) + "\n", encoding="ascii")
    draft.replace(path)
    return daemon_id


def clear_socket(path: Path) -> None:
    """Remove the socket that a dead daemon left behind.

    Raises DaemonRunning when somebody answers on it, UnsafeLocation for what is no socket.
    """
    try:
        found = path.lstat()
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(found.st_mode):
        raise UnsafeLocation(f"{path} is not a socket", "move it away", path=str(path))
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(_ANSWER_WAIT_S)
        try:
            probe.connect(str(path))
        except (ConnectionRefusedError, FileNotFoundError):
            path.unlink(missing_ok=True)
            return
        except OSError as error:
            raise UnsafeLocation(
                f"the socket {path} cannot be looked at: {error}", "see who uses it", path=str(path)
            ) from error
    raise DaemonRunning(
        f"another daemon answers on {path}, for another state directory",
        "stop it, or set SWAMPD_SOCKET to another path",
        path=str(path),
    )
