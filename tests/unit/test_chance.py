"""Chance as a port."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from swampd.chance import SystemRng

if TYPE_CHECKING:
    from swampd.ports import Rng


def test_ids_are_32_hex_digits_and_fresh() -> None:
    rng: Rng = SystemRng()
    ids = {rng.uuid() for _ in range(100)}
    assert len(ids) == 100
    assert all(re.fullmatch("[0-9a-f]{32}", found) for found in ids)


def test_numbers_are_between() -> None:
    rng = SystemRng()
    found = {rng.uniform(2.0, 3.0) for _ in range(100)}
    assert len(found) > 1
    assert all(2.0 <= number <= 3.0 for number in found)
