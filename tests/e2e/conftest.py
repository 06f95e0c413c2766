"""Machines that share a place for their datastore."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import pytest

from tests.e2e.machines import Machine

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.places.place import Place


class Pair(NamedTuple):
    """Two machines, set up, and the place of their datastore."""

    a: Machine
    b: Machine
    place: Place


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Callable[[str], Machine]]:
    """Makes machines; their daemons end with the test."""
    made: list[Machine] = []

    def make(name: str) -> Machine:
        made.append(Machine(tmp_path, name))
        return made[-1]

    yield make
    for one in made:
        one.close()


@pytest.fixture
def alone(machine: Callable[[str], Machine]) -> Machine:
    """One machine, nothing set up."""
    return machine("a")


@pytest.fixture
def pair(place: Place, machine: Callable[[str], Machine]) -> Pair:
    """Two machines on one datastore."""
    a, b = machine("a"), machine("b")
    a.set_up(place)
    b.equip(place)
    b.join(a)
    return Pair(a, b, place)
