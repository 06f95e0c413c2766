"""One machine: its own HOME, XDG directories, SWAMP_HOME and repo; machines share a store.

Everything runs as separate processes in sessions of their own, so no test has a controlling
terminal; who owns a hold is then said by the parent process (`Machine.shell`).
"""

from __future__ import annotations

import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from swampd.config.repo import read_repo_file
from swampd.domain.leases import LockState
from swampd.locations import repo_cache
from tests.places.place import lock_key

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.places.place import Place

BIN = Path(sys.executable).parent
LIMIT_S = 60.0


@dataclass(frozen=True, slots=True)
class Result:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> dict[str, Any]:
        """Its one object."""
        found: dict[str, Any] = json.loads(self.out)
        return found


def until(ready: Callable[[], Any], what: str, limit_s: float = 20.0) -> Any:
    """Look until `ready` answers something true; fails by name at the limit."""
    end = time.monotonic() + limit_s
    while time.monotonic() < end:
        found = ready()
        if found:
            return found
        time.sleep(0.02)
    raise AssertionError(f"not in {limit_s} s: {what}")


class Machine:
    """One of several machines on this one."""

    def __init__(self, root: Path, name: str) -> None:
        self.name = name
        self.root = root / name
        self.repo = self.root / "repo"
        self.state = self.root / "state" / "swampd"
        # The path of a socket is short.
        self.runtime = Path(tempfile.mkdtemp(prefix=f"sw-{name}-"))
        for folder in (self.repo, self.root / "home"):
            folder.mkdir(parents=True)
        self.environ = {
            "PATH": f"{BIN}{os.pathsep}{os.environ.get('PATH', os.defpath)}",
            "HOME": str(self.root / "home"),
            "XDG_STATE_HOME": str(self.root / "state"),
            "XDG_CONFIG_HOME": str(self.root / "config"),
            "XDG_RUNTIME_DIR": str(self.runtime),
            "SWAMP_HOME": str(self.root / "swamp"),
        }

    # --- commands -----------------------------------------------------------------------------

    def start(self, *words: str, cwd: Path | None = None, **environ: str) -> subprocess.Popen[str]:
        """Begin `swampctl WORDS`."""
        return self.spawn([str(BIN / "swampctl"), *words], cwd=cwd, **environ)

    def spawn(
        self, command: list[str], cwd: Path | None = None, **environ: str
    ) -> subprocess.Popen[str]:
        """Begin any command on this machine."""
        return subprocess.Popen(
            command,
            cwd=cwd or self.repo,
            env={**self.environ, **environ},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def run(
        self, *words: str, cwd: Path | None = None, limit_s: float = LIMIT_S, **environ: str
    ) -> Result:
        """`swampctl WORDS`, whatever comes of it."""
        return finished(self.start(*words, cwd=cwd, **environ), limit_s)

    def ok(self, *words: str, cwd: Path | None = None, **environ: str) -> Result:
        """The same, which must succeed."""
        result = finished(self.start(*words, cwd=cwd, **environ))
        assert result.code == 0, f"{self.name}: swampctl {' '.join(words)}: {result}"
        return result

    def shell(self, script: str, limit_s: float = LIMIT_S) -> Result:
        """A shell that runs a script: one owner of holds."""
        return finished(self.spawn(["sh", "-c", f"{script}\nexit $?"]), limit_s)

    # --- things -------------------------------------------------------------------------------

    @property
    def cache(self) -> Path:
        """Where the files are, as `swampctl cache path` says too."""
        repo_id = read_repo_file(self.repo).repo_id
        assert repo_id is not None
        return repo_cache(repo_id, self.environ).resolve()

    def equip(self, place: Place) -> None:
        """Let this machine into a place."""
        self.environ.update(place.equip(Path(self.environ["HOME"])))

    def set_up(self, place: Place) -> None:
        """Give the repo a datastore in this place."""
        self.equip(place)
        self.ok("datastore", "setup", *place.setup)

    def join(self, other: Machine) -> None:
        """The same repo as on another machine."""
        shutil.copy(other.repo / ".swamp.yaml", self.repo)

    def write(self, path: str, content: bytes | str, *, executable: bool = False) -> Path:
        """Write a file into the cache."""
        target = self.cache / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content.encode() if isinstance(content, str) else content)
        if executable:
            target.chmod(0o755)
        return target

    def files(self) -> dict[str, tuple[bytes, bool, int]]:
        """Content, execute bit and mtime of every synced file."""
        return tree(self.cache)

    # --- the daemon ---------------------------------------------------------------------------

    @property
    def daemon_pid(self) -> int:
        """Of the running daemon."""
        return int(self.ok("daemon", "status", "--json").json["pid"])

    def lock_file(self) -> dict[str, Any]:
        """What the daemon wrote into it."""
        found: dict[str, Any] = json.loads((self.state / "swampd.lock").read_bytes())
        return found

    def signal(self, number: int) -> None:
        """Send the daemon a signal."""
        os.kill(self.lock_file()["pid"], number)

    def kill(self) -> None:
        """kill -9, and wait until the process is gone."""
        pid = self.lock_file()["pid"]
        os.kill(pid, signal.SIGKILL)
        until(lambda: not alive(pid), f"the daemon {pid} is dead")

    def log(self) -> str:
        """All that the daemon logged."""
        with suppress(OSError):
            return (self.state / "logs" / "swampd.log").read_text()
        return ""

    def close(self) -> None:
        """End the daemon, whatever state it is in, and remove the socket's directory."""
        with suppress(OSError, ValueError, KeyError):
            pid = int(self.lock_file()["pid"])
            if alive(pid):
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGCONT)
                    os.kill(pid, signal.SIGTERM)
                try:
                    until(lambda: not alive(pid), "the daemon ended", 6.0)
                except AssertionError:
                    os.kill(pid, signal.SIGKILL)
        shutil.rmtree(self.runtime, ignore_errors=True)


def finished(process: subprocess.Popen[str], limit_s: float = LIMIT_S) -> Result:
    """Wait for a command's end; kills it at the limit."""
    try:
        out, err = process.communicate(timeout=limit_s)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        out, err = process.communicate()
        raise AssertionError(f"not done in {limit_s} s: {process.args!r}: {out} {err}") from None
    return Result(process.returncode, out, err)


def alive(pid: int) -> bool:
    """Is it running?  A zombie that nobody has waited for is not."""
    try:
        raw = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return raw.rpartition(")")[2].split()[0] not in {"Z", "X"}


def tree(root: Path) -> dict[str, tuple[bytes, bool, int]]:
    """Every file below a directory, the daemon's own aside."""
    found: dict[str, tuple[bytes, bool, int]] = {}
    for path in sorted(root.rglob("*")):
        name = str(path.relative_to(root))
        if path.is_file() and not name.startswith((".swampd/", "_control/")):
            stat = path.stat()
            found[name] = (path.read_bytes(), bool(stat.st_mode & 0o100), stat.st_mtime_ns)
    return found


def is_free(place: Place, *scopes: str) -> bool:
    """Were these scopes locked once, and are given back?  Cheap to ask again and again."""
    records = [place.find(lock_key(scope)) for scope in scopes]
    return all(record and json.loads(record)["state"] == LockState.FREE.value for record in records)


def quoted(*words: str) -> str:
    """Words for a shell."""
    return shlex.join(words)


def contents(machine: Machine) -> dict[str, bytes]:
    """The bytes of every file of its cache."""
    return {name: row[0] for name, row in machine.files().items()}
