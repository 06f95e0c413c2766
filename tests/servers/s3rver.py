"""s3rver, from npm: a real store that ignores conditions, so that it has to be refused.

It is fetched by `npm ci`, exactly as its lock file says, into a folder that git ignores; that takes
the npm registry, so tests of it carry the marker `servers`.  It writes into a folder, and takes any
signature of the one access key that it knows.
"""

from __future__ import annotations

import fcntl
import re
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self

if TYPE_CHECKING:
    from collections.abc import Iterable

HOME: Final = Path(__file__).with_name("s3rver")
ACCESS_KEY: Final = "S3RVER"
LIMIT_S: Final = 300.0

_LISTENING: Final = re.compile(r"listening on \S*:(\d+)")


class S3rver:
    """One server; `folder` takes what it stores."""

    def __init__(self, folder: Path, buckets: Iterable[str] = ()) -> None:
        self._folder = folder
        self._buckets = tuple(buckets)
        self._process: subprocess.Popen[str] | None = None
        self.url = ""

    def start(self) -> Self:
        """Fetch it if need be, and begin to serve on a free port."""
        node = _program("node")
        install()
        self._folder.mkdir(parents=True, exist_ok=True)
        made = [word for name in self._buckets for word in ("--configure-bucket", name)]
        self._process = subprocess.Popen(
            [
                *(node, str(HOME / "node_modules/s3rver/bin/s3rver.js")),
                *("--directory", str(self._folder), "--address", "127.0.0.1", "--port", "0"),
                *("--no-vhost-buckets", "--allow-mismatched-signatures", "--silent", *made),
            ],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdout
        for line in self._process.stdout:
            if found := _LISTENING.search(line):
                self.url = f"http://127.0.0.1:{found[1]}"
                return self
        self.close()
        raise RuntimeError("s3rver ended before it listened; what it said is above")

    def close(self) -> None:
        """End it; its folder stays."""
        process, self._process = self._process, None
        if process:
            process.terminate()
            process.communicate(timeout=LIMIT_S)


def install() -> None:
    """Fetch what the lock file says, unless that is there; one process at a time."""
    lock = HOME / "package-lock.json"
    here = HOME / "node_modules"
    with lock.open() as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        stamp = here / ".installed"
        if stamp.exists() and stamp.read_bytes() == lock.read_bytes():
            return
        fetched = subprocess.run(
            [_program("npm"), "ci", "--ignore-scripts", "--no-audit", "--no-fund"],
            cwd=HOME,
            capture_output=True,
            text=True,
            timeout=LIMIT_S,
            check=False,
        )
        if fetched.returncode:
            raise RuntimeError(f"npm ci in {HOME} failed:\n{fetched.stderr}")
        stamp.write_bytes(lock.read_bytes())


def _program(name: str) -> str:
    found = shutil.which(name)
    if found is None:
        raise RuntimeError(
            f"s3rver needs Node.js, and there is no `{name}` on the PATH: install Node.js with npm "
            "(Debian: the packages nodejs and npm), or leave out the tests marked `servers`"
        )
    return found
