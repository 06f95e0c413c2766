"""CPU and wall time of a push and of a pull, against who does nothing but copy.

All work on the same files and ask the same server, a process that costs next to nothing.  They take
turns, each round in new folders with a new server, and are compared within a round: what else the
machine does changes the seconds within minutes, and the ratios less.
"""

from __future__ import annotations

import random
import statistics
from typing import TYPE_CHECKING, Final, NamedTuple

from bench.contestants import Boto, Contestant, Daemon, S5cmd
from bench.findings import Finding, table
from bench.stages import stage
from tests.e2e.footprint import cpu_s
from tests.servers.responder import ResponderProcess

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

FILES: Final = 10_000
SIZE: Final = 4096
ROUNDS: Final = 3
BOTO_SHARE: Final = 5
"""Boto3 gets every fifth file only: it takes its time."""
MOST_CPU_S: Final = 0.25
"""Of the daemon, for 1,000 files."""
S5CMD_CPU_S: Final = 0.24
"""What s5cmd took for 1,000 files where that limit was set: a slower machine has a higher one."""
MOST_WALL: Final = 1.0
"""Of the daemon, in walls of s5cmd."""
NOISE: Final = 1.3
"""Single rounds of one and the same code differ by so much: only what is above it fails."""
DAEMON: Final = "swampd"
S5CMD: Final = "s5cmd"
BOTO: Final = "boto3"
WAYS: Final = ("push", "pull")


class Lap(NamedTuple):
    """Seconds for 1,000 files."""

    who: str
    way: str
    cpu: float
    wall: float
    server: float
    """CPU of the server meanwhile."""


class Peers(Finding):
    """The laps of all rounds, each round in the order in which they were run."""

    def __init__(self, rounds: Sequence[Sequence[Lap]], files: int) -> None:
        self.laps = [lap for laps in rounds for lap in laps]
        self.files = files
        self.rounds = len(rounds)
        ratios = {way: [_ratio(laps, way) for laps in rounds] for way in WAYS}
        self.ratios = {way: statistics.median(found) for way, found in ratios.items()}
        shown = "\n".join(
            f"- wall of swampd's {way} in walls of s5cmd's: {statistics.median(found):.2f}"
            f" (by round: {', '.join(f'{ratio:.2f}' for ratio in found)})"
            for way, found in ratios.items()
        )
        limits = (
            f"- limits: {MOST_CPU_S} CPU s of the daemon (here {self._most_cpu():.2f}: more where"
            f" s5cmd takes more than {S5CMD_CPU_S}), {MOST_WALL} walls of s5cmd; it fails above"
            f" {MOST_WALL * NOISE}"
        )
        above = [
            f"- above its limit: the {what} of a {way}"
            for way in WAYS
            for what, figure, most in (
                ("CPU", self.cpu(DAEMON, way), MOST_CPU_S),
                ("wall", self.ratios[way], MOST_WALL),
            )
            if figure > most
        ]
        text = "\n".join((self._table(), "", shown, limits, *above))
        super().__init__(text, tuple(self._misses()))

    def cpu(self, who: str, way: str) -> float:
        """The median of the rounds."""
        return statistics.median(lap.cpu for lap in self._of(who, way))

    def wall(self, who: str, way: str) -> float:
        """The median of the rounds."""
        return statistics.median(lap.wall for lap in self._of(who, way))

    def _of(self, who: str, way: str) -> list[Lap]:
        return [lap for lap in self.laps if (lap.who, lap.way) == (who, way)]

    def _table(self) -> str:
        head = ["for 1,000 files", "CPU s", "wall s", "CPU s of the server", "CPU s by round"]
        rows = []
        for way in WAYS:
            for who in (DAEMON, S5CMD, BOTO):
                laps = self._of(who, way)
                server = statistics.median(lap.server for lap in laps)
                figures = [self.cpu(who, way), self.wall(who, way), server]
                by_round = ", ".join(f"{lap.cpu:.3f}" for lap in laps)
                rows.append([f"{who} {way}", *(f"{figure:.3f}" for figure in figures), by_round])
        return table(head, rows)

    def _most_cpu(self) -> float:
        """Seconds of the daemon that are allowed on this machine."""
        slower = max(self.cpu(S5CMD, way) for way in WAYS) / S5CMD_CPU_S
        return MOST_CPU_S * max(1.0, slower)

    def _misses(self) -> Iterator[str]:
        for way in WAYS:
            cpu = self.cpu(DAEMON, way)
            if cpu > self._most_cpu():
                yield (
                    f"a {way} of {self.files:,} files takes {cpu:.3f} CPU seconds of the daemon for"
                    f" 1,000 of them, and at most {self._most_cpu():.2f} are allowed"
                )
            if self.ratios[way] > MOST_WALL * NOISE:
                yield (
                    f"a {way} of {self.files:,} files takes {self.ratios[way]:.2f} times as long as"
                    f" with s5cmd, and at most {MOST_WALL} times is allowed"
                )


def measure(files: int = FILES, rounds: int = ROUNDS) -> Peers:
    """Let all of them move so many files, several times."""
    return Peers([list(_round(files, number)) for number in range(rounds)], files)


def _round(files: int, number: int) -> Iterator[Lap]:
    with stage() as at:
        server = ResponderProcess().start()
        try:
            daemon = Daemon(at, server)
            few = at.folder / "few"
            fill(daemon.source, files)
            fill(few, files // BOTO_SHARE)
            bucket, copies = daemon.place.bucket, at.folder / "copies"
            there = (server.url, bucket)
            s5cmd = S5cmd(*there, daemon.source, copies / S5CMD)
            boto = Boto(*there, few, copies / BOTO)
            copies.mkdir()
            both: list[tuple[str, Contestant]] = [(DAEMON, daemon), (S5CMD, s5cmd)]
            for way in WAYS:
                for who, one in both if number % 2 == 0 else both[::-1]:
                    yield _lap(server, one, who, way, files)
            for way in WAYS:
                yield _lap(server, boto, BOTO, way, files // BOTO_SHARE)
            for arrived in (daemon.arrived, copies / S5CMD):
                assert _count(arrived) == files, f"{arrived} is not whole"
        finally:
            server.close()


def _lap(server: ResponderProcess, one: Contestant, who: str, way: str, files: int) -> Lap:
    before = cpu_s(server.pid)
    spent = one.push() if way == "push" else one.pull()
    thousands = files / 1000
    served = (cpu_s(server.pid) - before) / thousands
    return Lap(who, way, spent.cpu / thousands, spent.wall / thousands, served)


def fill(root: Path, files: int) -> None:
    """So many files of 4 KiB of noise, 100 a directory."""
    chance = random.Random(files)
    for number in range(files):
        folder = root / str(number // 100)
        if number % 100 == 0:
            folder.mkdir(parents=True)
        (folder / f"f{number}").write_bytes(chance.randbytes(SIZE))


def _count(root: Path) -> int:
    return sum(1 for path in root.rglob("*") if path.is_file())


def _ratio(laps: Sequence[Lap], way: str) -> float:
    walls = {lap.who: lap.wall for lap in laps if lap.way == way}
    return walls[DAEMON] / walls[S5CMD]
