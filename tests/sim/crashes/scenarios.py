"""All scenarios."""

from __future__ import annotations

from typing import Final

from tests.sim.crashes import locking, syncing

SCENARIOS: Final = (*syncing.SCENARIOS, *locking.SCENARIOS)
BY_NAME: Final = {scenario.name: scenario for scenario in SCENARIOS}
