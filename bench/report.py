"""docs/bench/: the figures of the S3 store, and how they were got."""

from __future__ import annotations

import os
import platform
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

from bench.memory import Memory
from bench.peers import MOST_CPU_S, MOST_WALL, Peers
from bench.plot import draw
from bench.requests import MOST_FOR_MOTO, Requests
from bench.stages import in_memory

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bench.findings import Finding

FOLDER: Final = Path(__file__).parents[1] / "docs" / "bench"
_TEXT: Final = """\
# The S3 store, measured

Written by `python -m bench --write` on {date}: {cores} cores, Python {python}, {system}.
`make bench` measures the same and fails when a limit is missed; it writes nothing.

![requests by number of files; CPU and wall seconds beside s5cmd and boto3](s3.svg)

## Requests of a command

{requests}

A real daemon on a server that logs what it is asked; each request names its operation in the user
agent (`swampd op/push-17.4242`), so the log can be added up by kind. A command is counted until
every lock record reads `free`, which the bench looks at past the daemon. *First lock* makes the
scope one of its own; *lock* takes it once more. Both are `lock run` with one edited file: acquire,
pull, edit, push, release. Up to {moto:,} files the server is moto; above, the small responder of
the tests. Budgets are held by `tests/e2e/test_budgets.py`, too.

## CPU and wall time beside others

{peers}

{files:,} files of 4 KiB, {rounds} rounds, medians. The server is the responder of the tests, a
process in memory that costs next to nothing; the files are {where}. Each round has new folders and
a new server; swampd and s5cmd take turns, and who is first changes with the round. swampd: a
`swampctl push` from its start to its answer, and a `swampctl pull` into an empty cache, with both
daemons running and the datastore open; CPU is that of the daemon with all its threads, until its
locks are given back. s5cmd: the whole process of `s5cmd cp`. boto3: sixteen threads, a fifth of the
files, without the start of Python. Limits: {cpu} CPU seconds of the daemon for 1,000 files, and
{wall:g} times the wall time of s5cmd.

## Memory

{memory}

Resident memory of the daemon on a file of noise that is new, and then has other content. The server
keeps digests only.
{misses}"""


def write(found: Sequence[Finding]) -> None:
    """Rewrite the tables and the plot; `found` has the requests, the peers and the memory."""
    requests = next(one for one in found if isinstance(one, Requests))
    peers = next(one for one in found if isinstance(one, Peers))
    memory = next(one for one in found if isinstance(one, Memory))
    FOLDER.mkdir(parents=True, exist_ok=True)
    text = _TEXT.format(
        date=f"{datetime.now(UTC):%Y-%m-%d}",
        cores=os.cpu_count(),
        python=platform.python_version(),
        system=platform.system(),
        requests=requests.text,
        moto=MOST_FOR_MOTO,
        peers=peers.text,
        files=peers.files,
        rounds=peers.rounds,
        where="in memory (`/dev/shm`)" if in_memory() else "on a disk",
        cpu=MOST_CPU_S,
        wall=MOST_WALL,
        memory=memory.text,
        misses=_missed([*requests.misses, *peers.misses, *memory.misses]),
    )
    (FOLDER / "s3.md").write_text(text)
    (FOLDER / "s3.svg").write_text(draw(requests, peers))


def _missed(misses: Sequence[str]) -> str:
    """What was not as it should be, as a section."""
    if not misses:
        return ""
    return "\n## Missed\n\n" + "".join(f"- {miss}\n" for miss in misses)
