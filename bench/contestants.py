"""Who is compared: a daemon, s5cmd and plain boto3, each of which moves a tree both ways."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

from tests.e2e.costs import until_free
from tests.e2e.footprint import cpu_s
from tests.e2e.machines import BIN
from tests.places.bucket import BucketPlace
from tests.servers.clients import REGION, SECRET

if TYPE_CHECKING:
    from bench.stages import Stage
    from tests.e2e.machines import Machine
    from tests.servers.responder import ResponderProcess

ROOT: Final = Path(__file__).parents[1]
TREE: Final = "data/bench"
LIMIT_S: Final = 600.0


class Spent(NamedTuple):
    """Seconds for the whole tree."""

    cpu: float
    wall: float


class Contestant(Protocol):
    """One who is compared."""

    def push(self) -> Spent:
        """The tree into the store."""

    def pull(self) -> Spent:
        """The tree out of the store, to where there is none."""


class Daemon:
    """Two machines with a daemon each, which have the datastore open before anything is timed."""

    def __init__(self, stage: Stage, server: ResponderProcess) -> None:
        self._a, self._b = stage.machine("a"), stage.machine("b")
        self.place = BucketPlace(server, stage.folder / "store-home")
        self._a.set_up(self.place)
        self._b.equip(self.place)
        self._b.join(self._a)
        for machine in (self._a, self._b):
            machine.ok("pull")

    @property
    def source(self) -> Path:
        """The tree that is pushed."""
        return self._a.cache / TREE

    @property
    def arrived(self) -> Path:
        """The tree that was pulled."""
        return self._b.cache / TREE

    def push(self) -> Spent:
        """From the command to its answer; CPU until the locks are given back."""
        return self._spent(self._a, "push")

    def pull(self) -> Spent:
        """Into an empty cache."""
        return self._spent(self._b, "pull")

    def _spent(self, machine: Machine, word: str) -> Spent:
        pid = machine.daemon_pid
        cpu, wall = cpu_s(pid), time.monotonic()
        done = machine.run(word, limit_s=LIMIT_S)
        wall = time.monotonic() - wall
        assert done.code == 0, done
        until_free(self.place)
        return Spent(cpu_s(pid) - cpu, wall)


class S5cmd:
    """`s5cmd cp`, as it comes."""

    def __init__(self, url: str, bucket: str, source: Path, target: Path) -> None:
        self._url = url
        self._there = f"s3://{bucket}/s5cmd"
        self._source = source
        self._target = target

    def push(self) -> Spent:
        """The whole process."""
        return self._copy(f"{self._source}/", f"{self._there}/")

    def pull(self) -> Spent:
        """The whole process."""
        return self._copy(f"{self._there}/*", f"{self._target}/")

    def _copy(self, source: str, target: str) -> Spent:
        command = [str(BIN / "s5cmd"), "--log", "error", "--endpoint-url", self._url]
        environ = _environ(self._target.parent)
        begun = time.monotonic()
        with subprocess.Popen([*command, "cp", source, target], env=environ) as process:
            _, status, usage = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
        assert process.returncode == 0, f"s5cmd ended with {process.returncode}"
        return Spent(usage.ru_utime + usage.ru_stime, time.monotonic() - begun)


class Boto:
    """Plain boto3 in a process of its own."""

    def __init__(self, url: str, bucket: str, source: Path, target: Path) -> None:
        self._where = (url, bucket, "boto3")
        self._source = source
        self._target = target

    def push(self) -> Spent:
        """Without its start."""
        return self._copy("push", self._source)

    def pull(self) -> Spent:
        """Without its start."""
        return self._copy("pull", self._target)

    def _copy(self, way: str, folder: Path) -> Spent:
        command = [sys.executable, "-m", "bench.boto_peer", way, *self._where, str(folder)]
        environ = _environ(self._target.parent)
        done = subprocess.run(command, cwd=ROOT, env=environ, check=True, stdout=subprocess.PIPE)
        return Spent(*json.loads(done.stdout))


def _environ(home: Path) -> dict[str, str]:
    return {
        "PATH": os.environ.get("PATH", os.defpath),
        "HOME": str(home),
        "AWS_ACCESS_KEY_ID": "tester",
        "AWS_SECRET_ACCESS_KEY": SECRET,
        "AWS_REGION": REGION,
        "AWS_EC2_METADATA_DISABLED": "true",
    }
