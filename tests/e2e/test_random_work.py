"""Minutes of random work on two machines; then a reader that knows nothing of the engine says what
is in the datastore, and it is what both caches show."""

from __future__ import annotations

import logging
import os
import threading
import time
from functools import partial
from typing import TYPE_CHECKING

import pytest

from tests.e2e.independent import IndependentReader, Unreadable
from tests.e2e.machines import contents
from tests.e2e.random_work import COUNTER, RandomUser, Story, Trouble, go_on
from tests.places.choice import DIRECTORY, S3

if TYPE_CHECKING:
    from tests.e2e.conftest import Pair
    from tests.e2e.machines import Machine
    from tests.places.place import Place

log = logging.getLogger(__name__)
USERS = 2
ROUNDS = 12


def reader_of(place: Place) -> IndependentReader:
    return IndependentReader(place.find, place.keys)


def serial(content: bytes) -> int:
    """The how manieth of its user's contents this is."""
    return int(content.split(b" ", 2)[1])


def come_to_rest(machines: tuple[Machine, ...]) -> None:
    """Everybody decides, pushes and pulls until nobody has anything to do."""
    pushed = None
    for _ in range(ROUNDS):
        quiet = True
        for one in machines:
            one.run("pull", "--allow-deletes", limit_s=120)
            for conflict in one.ok("conflicts", "list", "--json").json["conflicts"]:
                quiet = False
                one.run("conflicts", "resolve", "--theirs", conflict["path"])
            pushed = one.run("push", "--allow-deletes", limit_s=120)
            quiet = quiet and (pushed.code, pushed.out) == (0, "nothing to push\n")
        if quiet:
            return
    raise AssertionError(f"not at rest in {ROUNDS} rounds: {pushed}")


@pytest.mark.long
@pytest.mark.timeout(1500)
@pytest.mark.parametrize(
    ("place", "seconds"), [(DIRECTORY, 600.0), (S3, 240.0)], indirect=["place"]
)
def test_minutes_of_random_work_lose_nothing(pair: Pair, seconds: float) -> None:
    a, b, place = pair
    seed = int(os.environ.get("SWAMPD_SEED", time.time_ns() // 1_000_000_000))
    log.warning("seed %d", seed)
    seconds = float(os.environ.get("SWAMPD_RANDOM_WORK_S", seconds))
    a.write(COUNTER, "0\n")
    a.ok("push")
    b.ok("pull")
    story, broken = Story(), list[BaseException]()
    users = [RandomUser(one, n, seed, story) for one in (a, b) for n in range(USERS)]
    reader = reader_of(place)

    def look() -> None:
        """S7: all that is committed can be read, at any time."""
        time.sleep(1.0)
        reader.files()
        story.counts["looked"] += 1

    until = time.monotonic() + seconds
    acts = [user.act for user in users] + [Trouble([a, b], seed, story).act, look]
    threads = [threading.Thread(target=partial(go_on, act, until, broken)) for act in acts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    log.warning("%s", dict(sorted(story.counts.items())))
    assert not broken
    assert not story.odd, story.odd[:5]

    come_to_rest((a, b))
    committed = reader.files()
    assert committed == contents(a) == contents(b)
    for path, content in story.promised.items():
        assert serial(committed[path]) >= serial(content), path
    assert story.steps <= int(committed[COUNTER]) <= story.tried
    assert story.steps > 0
    assert min(story.counts[what] for what in ("killed", "stopped", "looked", "push 0")) > 0
    swept = a.run("datastore", "compact")
    left = reader.unnamed()
    assert reader.files() == committed
    assert (swept.code == 0 and not left) or (swept.code == 3 and "may still land" in swept.err)


def test_the_reader_tells_what_is_wrong(pair: Pair) -> None:
    a, _, place = pair
    a.write("data/f", b"one")
    a.write("data/large", b"x" * 10_000)
    a.ok("push")
    a.write("data/f", b"two")
    (a.cache / "data/large").unlink()
    a.ok("push")
    assert reader_of(place).files() == contents(a) == {"data/f": b"two"}
    a.write("data/g", b"y" * 10_000)
    a.ok("push")
    place.write_foreign("data/g", b"z" * 10_000)
    with pytest.raises(Unreadable, match="data/g"):
        reader_of(place).files()
    place.delete("data/g")
    with pytest.raises(Unreadable, match="data/g"):
        reader_of(place).files()
