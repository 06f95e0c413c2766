"""Ten thousand files through one bucket, and then what people do to them, each way."""

from __future__ import annotations

import os
import random
import time
from typing import TYPE_CHECKING, Final

import pytest

from tests.e2e.machines import contents
from tests.places.choice import bucket_only

if TYPE_CHECKING:
    from tests.e2e.conftest import Pair
    from tests.e2e.machines import Machine

FILES: Final = 10_000
MOST_BYTES: Final = 20 * 1024
LIMIT_S: Final = 400.0


def fill(machine: Machine, seed: int) -> list[str]:
    """Files of mixed sizes in nested directories, some of them executable; their names."""
    chance = random.Random(seed)
    names = []
    for number in range(FILES):
        depth = chance.randrange(4)
        folders = [f"d{chance.randrange(12)}" for _ in range(depth)]
        name = "/".join(("data", f"p{number % 40}", *folders, f"f{number:05}.bin"))
        # Most are small, as in a real tree; every hundredth is empty.
        size = 0 if number % 100 == 0 else int(MOST_BYTES * chance.random() ** 3)
        machine.write(name, chance.randbytes(size), executable=number % 17 == 0)
        names.append(name)
    return sorted(names)


def timed(machine: Machine, *words: str) -> float:
    begun = time.monotonic()
    done = machine.run(*words, limit_s=LIMIT_S)
    assert done.code == 0, done
    return time.monotonic() - begun


def change(machine: Machine, names: list[str], mine: str) -> None:
    """An edit, an edit of the same size, a delete, a rename and a mode, of this machine's own."""
    edited, same_size, deleted, renamed, made_executable = names
    root = machine.cache
    (root / edited).write_bytes(b"edited by " + mine.encode())
    size = (root / same_size).stat().st_size
    (root / same_size).write_bytes(os.urandom(size))
    (root / deleted).unlink()
    (root / renamed).rename(root / f"{renamed}.{mine}")
    (root / made_executable).chmod(0o755)


@bucket_only
@pytest.mark.servers
@pytest.mark.timeout(900)
def test_ten_thousand_files_and_the_changes_of_both(
    pair: Pair, capsys: pytest.CaptureFixture[str]
) -> None:
    a, b, place = pair
    names = fill(a, seed=1)
    pushed = timed(a, "push")
    pulled = timed(b, "pull")
    assert len(b.files()) == FILES
    assert b.files() == a.files()
    assert len({row[1] for row in b.files().values()}) == 2
    assert place.plain_files() == contents(a)

    change(a, names[100:600:100], "a")
    timed(a, "push")
    timed(b, "pull")
    assert b.files() == a.files()
    change(b, names[5100:5600:100], "b")
    timed(b, "push")
    timed(a, "pull")
    assert a.files() == b.files()
    assert len(a.files()) == FILES - 2
    assert place.plain_files() == contents(b)
    with capsys.disabled():
        print(f"\n{FILES} files: push {pushed:.1f} s, pull {pulled:.1f} s")  # noqa: T201
