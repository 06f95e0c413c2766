"""A machine that slept: its clock has gone on, so its locks have lapsed, and it knows that.

A time namespace stands for the suspend: the daemon begins again in one whose CLOCK_BOOTTIME is an
hour on, in the same boot.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.e2e.machines import finished
from tests.places.choice import folder_only

if TYPE_CHECKING:
    from tests.e2e.conftest import Pair
    from tests.e2e.machines import Machine, Result

HOUR_S = 3600
SCOPE = "data/x"


def start_later(machine: Machine, clock: str) -> Result:
    """Start the daemon where this clock shows an hour more."""
    command = ["unshare", "--time", f"--{clock}", str(HOUR_S), "swampctl", "daemon", "start"]
    return finished(machine.spawn(command))


@pytest.mark.needs_root
@folder_only
def test_a_lock_does_not_outlive_a_suspend(pair: Pair) -> None:
    a, b, _ = pair
    a.write(f"{SCOPE}/f", "first")
    a.ok("push", SCOPE)
    token = a.shell(f"swampctl lock acquire {SCOPE}").out.strip()
    a.kill()
    assert start_later(a, "boottime").code == 0
    a.write(f"{SCOPE}/f", "edited in its sleep")
    lost = a.run("push", SCOPE, "--token", token, "--json")
    assert lost.code in (1, 13), lost
    assert lost.json["error"]["code"] in ("not_holder", "lock_lost")
    a.ok("push", SCOPE)
    b.ok("pull")
    assert (b.cache / SCOPE / "f").read_text() == "edited in its sleep"


@pytest.mark.needs_root
@folder_only
def test_a_clock_that_stands_still_in_suspend_decides_nothing(pair: Pair) -> None:
    a, _, _ = pair
    token = a.shell(f"swampctl lock acquire {SCOPE}").out.strip()
    before = a.ok("lock", "show", SCOPE, "--json").json["lock"]["epoch"]
    a.kill()
    assert start_later(a, "monotonic").code == 0
    a.write(f"{SCOPE}/f", "1")
    a.ok("push", SCOPE, "--token", token)
    assert a.ok("lock", "show", SCOPE, "--json").json["lock"]["epoch"] == before
