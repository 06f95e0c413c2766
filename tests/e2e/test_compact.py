"""`swampctl datastore compact`: what a killed daemon left behind goes, and nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING

from swampd.domain.layout import CONTROL
from tests.places.choice import on_each

if TYPE_CHECKING:
    from tests.e2e.conftest import Pair

STAGED = f"{CONTROL}/staged/"


@on_each
def test_what_nobody_needs_is_told_and_deleted(pair: Pair) -> None:
    a, b, place = pair
    a.write("data/f", "1" * 5000)
    a.ok("push")
    a.write("data/f", "2" * 5000)
    a.ok("push")
    left = f"{STAGED}{'b' * 32}"
    place.write_foreign(left, b"of a push that was killed")
    place.write_foreign("data/foreign", b"somebody's")
    told = a.ok("datastore", "compact", "--dry-run")
    assert "would delete 1 staged copy" in told.out
    assert place.find(left) is not None
    done = a.ok("datastore", "compact", "--json").json
    assert (done["staged"], done["orphans"], done["foreign"]) == (1, 0, 1)
    assert done["left"] == {}
    assert place.find(left) is None
    again = a.ok("datastore", "compact")
    assert again.out.splitlines() == [
        "nothing to delete",
        "not swampd's, and left alone: 1",
    ]
    b.ok("pull")
    assert (b.cache / "data/f").read_text() == "2" * 5000


def test_a_scope_that_somebody_holds_is_waited_for(pair: Pair) -> None:
    a, b, _ = pair
    a.write("data/f", "1")
    a.ok("push")
    b.ok("lock", "acquire", "data")
    refused = a.run("datastore", "compact", "--no-wait", "--json")
    assert refused.json["error"]["code"] == "lock_busy"
    b.ok("lock", "release", "data")
    a.ok("datastore", "compact")
