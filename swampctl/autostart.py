"""Starting the daemon when none answers: one client does it, all wait for it.

Standard library only, and done before grpc is loaded: a process that forks should have no threads.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from swampctl import cloud, owner
from swampd import locations
from swampd.errors import DaemonUnreachable

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

WAIT_S: Final = 10.0
POLL_S: Final = 0.02
_OUTPUT_MOST: Final = 2000
_OF_ONE_COMMAND: Final = frozenset(
    {"SWAMP_LOCK_TOKEN", "SWAMP_LOCK_EPOCH", "SWAMP_SCOPE_PATH", locations.STARTED_BY}
)
_NOBODY: Final = "nobody"


def answers(path: Path) -> bool:
    """Does somebody listen on this socket?"""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(WAIT_S)
        try:
            probe.connect(str(path))
        except OSError:
            return False
    return True


def ensure_daemon(environ: Mapping[str, str]) -> Path:
    """The socket of a daemon that listens, started if need be (SWAMPD_AUTOSTART=0: it is not).

    Raises DaemonUnreachable, UnsafeLocation.
    """
    path = locations.client_socket(environ)
    if answers(path):
        return path
    if environ.get("SWAMPD_AUTOSTART") == "0":
        raise DaemonUnreachable(
            f"no daemon answers on {path}",
            "start it: `swampctl daemon start` (SWAMPD_AUTOSTART=0 keeps it from starting itself)",
            path=str(path),
        )
    return start_daemon(environ, in_passing=True)


def start_daemon(environ: Mapping[str, str], *, in_passing: bool = False) -> Path:
    """Start a daemon, unless somebody else just has; its socket.

    One that is started in passing serves other sessions too: who we are to a cloud store is told
    with each request then, and not left to it; our secrets are for our session.

    Raises DaemonUnreachable with what the daemon said when it does not come up.
    """
    if environ.get("SUDO_USER"):
        raise DaemonUnreachable(
            f"no daemon answers, and under sudo none is started: it would be that of user"
            f" {os.geteuid()}, not that of {environ['SUDO_USER']}",
            "run the command without sudo, or start that daemon by hand: `swampd`",
        )
    state = locations.state_dir(environ)
    locations.ensure_private_dir(state)
    until = time.monotonic() + WAIT_S
    with _turn(locations.autostart_lock_file(state), until):
        path = locations.client_socket(environ)
        if answers(path):
            return path
        return _spawn(_environment(environ, in_passing=in_passing), state, until)


@contextmanager
def _turn(path: Path, until: float) -> Iterator[None]:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except OSError as error:
                if error.errno not in {errno.EWOULDBLOCK, errno.EACCES}:
                    raise
            if time.monotonic() > until:
                raise DaemonUnreachable(
                    f"another client has been starting the daemon for {WAIT_S:.0f} s",
                    "see the daemon's log",
                )
            time.sleep(POLL_S)
        yield
    finally:
        os.close(descriptor)


def _environment(environ: Mapping[str, str], *, in_passing: bool) -> dict[str, str]:
    """Our environment, as a daemon gets it."""
    left_out = _OF_ONE_COMMAND | (cloud.VARIABLES if in_passing else frozenset())
    found = {name: value for name, value in environ.items() if name not in left_out}
    if in_passing:
        found[locations.STARTED_BY] = owner.session(owner.collect()) or _NOBODY
    return found


def _spawn(environ: Mapping[str, str], state: Path, until: float) -> Path:
    logs = locations.log_dir(state)
    locations.ensure_private_dir(logs)
    said = logs / "output.log"
    with said.open("ab") as out:
        begin = out.tell()
        child = subprocess.Popen(
            [sys.executable, "-P", "-m", "swampd"],
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            cwd="/",
            env=environ,
            start_new_session=True,
        )
    while time.monotonic() < until:
        ended = child.poll() is not None
        found = locations.read_lock_file(state)
        path = locations.client_socket(environ)
        if found is not None and answers(path):
            child.returncode = child.returncode or 0  # it outlives us: nobody waits for it
            return path
        if ended:
            raise DaemonUnreachable(
                f"the daemon did not start: {_said(said, begin)}", f"see {logs}", path=str(path)
            )
        time.sleep(POLL_S)
    raise DaemonUnreachable(
        f"the daemon was started and does not answer after {WAIT_S:.0f} s", f"see {logs}"
    )


def _said(path: Path, begin: int) -> str:
    with contextlib.suppress(OSError), path.open("rb") as file:
        file.seek(begin)
        text = file.read(_OUTPUT_MOST).decode("utf-8", "replace")
        return " ".join(text.split()) or "it said nothing"
    return "it said nothing"


def wait_until_gone(pid: int, state: Path, wait_s: float = WAIT_S) -> bool:
    """Wait until the daemon has let go of its state directory; False: it has not in time."""
    until = time.monotonic() + wait_s
    while time.monotonic() < until:
        if not is_running(state, pid):
            return True
        time.sleep(POLL_S)
    return False


def is_running(state: Path, pid: int) -> bool:
    """Does the daemon with this pid still have the state directory?"""
    found = locations.read_lock_file(state)
    if found is None or found.pid != pid:
        return False
    try:
        descriptor = os.open(locations.lock_file(state), os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(descriptor)
    return False
