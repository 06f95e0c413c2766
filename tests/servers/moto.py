"""moto's S3 as one process behind one lock, with the log of what it was asked.

It keeps no files: what it holds ends with it.  For a store that goes down and comes back with its
data, put `chaos.ChaosProxy` before it, and let that refuse and accept.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from contextlib import closing, suppress
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self

import msgspec

from tests.servers.access_log import read_log
from tests.servers.moto_settings import DENIALS, LOG_VARIABLE

if TYPE_CHECKING:
    from tests.servers.access_log import Logged
    from tests.servers.refusals import Denial

ROOT: Final = Path(__file__).parents[2]
LIMIT_S: Final = 60.0


class MotoServer:
    """One server; `folder` takes its log and what it prints."""

    def __init__(self, folder: Path) -> None:
        self.log = folder / "moto.log"
        self._printed = folder / "moto.stderr"
        self._folder = folder
        self._seen = 0
        self._process: subprocess.Popen[bytes] | None = None
        self._port = 0

    @property
    def url(self) -> str:
        """The endpoint; path style."""
        return f"http://127.0.0.1:{self._port}"

    def start(self) -> Self:
        """Begin to serve, on a free port."""
        self._folder.mkdir(parents=True, exist_ok=True)
        self.log.touch()
        # Bound and listening before the process is there: no race for the port, and who connects
        # early waits.
        with socket.create_server(("127.0.0.1", 0)) as listening, self._printed.open("ab") as err:
            self._port = listening.getsockname()[1]
            self._process = subprocess.Popen(
                [
                    *(sys.executable, "-m", "gunicorn"),
                    *("--config", "python:tests.servers.moto_settings"),
                    *("--bind", f"fd://{listening.fileno()}"),
                ],
                cwd=ROOT,
                env=_environ(self.log),
                pass_fds=[listening.fileno()],
                stdin=subprocess.PIPE,
                stdout=err,
                stderr=err,
                start_new_session=True,
            )
        self.deny()
        return self

    def close(self) -> None:
        """End it; what it held is gone."""
        process, self._process = self._process, None
        if process is None:
            return
        if process.stdin:
            process.stdin.close()
        try:
            process.wait(LIMIT_S)
        finally:
            process.kill()
            process.wait()

    def deny(self, *denials: Denial) -> None:
        """From now on the first of these rules that fits a request answers it; none: nobody."""
        body = msgspec.json.encode(denials)
        connection = HTTPConnection("127.0.0.1", self._port, timeout=LIMIT_S)
        try:
            with closing(connection):
                connection.request("PUT", DENIALS, body)
                connection.getresponse().read()
        except (OSError, HTTPException) as error:
            raise RuntimeError(f"moto does not serve: {self._last_words()}") from error

    def requests(self) -> list[Logged]:
        """What was asked since `reset`, in the order in which it was answered."""
        with self.log.open("rb") as log:
            log.seek(self._seen)
            return read_log(log.read())

    def reset(self) -> None:
        """Count from here."""
        self._seen = self.log.stat().st_size

    def _last_words(self) -> str:
        with suppress(OSError):
            return self._printed.read_text()[-2000:]
        return "it left no word"


def _environ(log: Path) -> dict[str, str]:
    """Nothing of this machine's AWS settings."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    return kept | {
        LOG_VARIABLE: str(log),
        "AWS_ACCESS_KEY_ID": "moto",
        "AWS_SECRET_ACCESS_KEY": "moto",
        "AWS_EC2_METADATA_DISABLED": "true",
        "S3_IGNORE_SUBDOMAIN_BUCKETNAME": "true",
    }
