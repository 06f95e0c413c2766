"""Machines that share a store."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import pytest

from tests.e2e.machines import Machine

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


class Pair(NamedTuple):
    """Two machines, set up, and the folder of their store."""

    a: Machine
    b: Machine
    store: Path


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
def pair(machine: Callable[[str], Machine], tmp_path: Path) -> Pair:
    """Two machines on one store."""
    store = tmp_path / "store"
    a, b = machine("a"), machine("b")
    a.set_up(store)
    b.join(a)
    return Pair(a, b, store)
