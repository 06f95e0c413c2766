"""Machines that share a place for their datastore."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, NamedTuple

import pytest

from tests.e2e.machines import Machine
from tests.places.folder import FolderPlace

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


@pytest.fixture(scope="session")
def just_set_up(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A folder as set-up leaves it, and what the repo then says of it: quick to copy."""
    root = tmp_path_factory.mktemp("set-up")
    store, one = FolderPlace(root / "store"), Machine(root, "s")
    try:
        one.set_up(store)
    finally:
        one.close()
    return store.root, (one.repo / ".swamp.yaml").read_text()


@pytest.fixture
def pair(place: Place, machine: Callable[[str], Machine], just_set_up: tuple[Path, str]) -> Pair:
    """Two machines on one datastore; no daemon of a folder's runs yet."""
    a, b = machine("a"), machine("b")
    if isinstance(place, FolderPlace):
        template, said = just_set_up
        shutil.copytree(template, place.root, dirs_exist_ok=True)
        (a.repo / ".swamp.yaml").write_text(said.replace(str(template), str(place.root)))
    else:
        a.set_up(place)
        b.equip(place)
    b.join(a)
    return Pair(a, b, place)
