"""`make bench`: counts, times and memory, each against its limit; 1 when one is missed.

`python -m bench PART...` runs some parts only; `--write` puts the figures of the S3 store into
docs/bench/; `--share 10` takes a tenth of all the files and bytes, to try the bench itself.
"""

from __future__ import annotations

import argparse
import sys
import time
from typing import TYPE_CHECKING, Final

from bench import directory, memory, peers, requests
from bench.report import write

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from bench.findings import Finding

DIRECTORY: Final = "directory"
REQUESTS: Final = "requests"
PEERS: Final = "peers"
MEMORY: Final = "memory"
PARTS: Final = (DIRECTORY, REQUESTS, PEERS, MEMORY)


def main() -> int:
    """Run what was asked for."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"of {', '.join(PARTS)}")
    parser.add_argument("--write", action="store_true", help="rewrite docs/bench/")
    parser.add_argument("--share", type=int, default=1, help="divide the work by this")
    asked = parser.parse_args()
    parts = asked.parts or PARTS
    if unknown := set(parts).difference(PARTS):
        parser.error(f"there is no part {', '.join(sorted(unknown))}")
    if asked.write and not {REQUESTS, PEERS, MEMORY}.issubset(parts):
        parser.error(f"--write needs {REQUESTS}, {PEERS} and {MEMORY}")
    found: list[Finding] = [_measure(part, asked.share) for part in parts]
    if asked.write:
        write(found)
    misses = [miss for finding in found for miss in finding.misses]
    for miss in misses:
        print(f"bench: {miss}", file=sys.stderr)
    return 1 if misses else 0


def _measure(part: str, share: int) -> Finding:
    """Run one part and print what it found."""
    begun = time.monotonic()
    found = _PARTS[part](share)
    print(f"== {part} ({time.monotonic() - begun:.0f} s)\n{found.text}\n", flush=True)
    return found


_PARTS: Final[Mapping[str, Callable[[int], Finding]]] = {
    DIRECTORY: lambda _: directory.measure(),
    REQUESTS: lambda share: requests.measure([size // share for size in requests.SIZES]),
    PEERS: lambda share: peers.measure(peers.FILES // share),
    MEMORY: lambda share: memory.measure(memory.SIZE // share),
}


if __name__ == "__main__":
    sys.exit(main())
