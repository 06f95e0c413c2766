"""What a command costs at the server, whatever the number of files."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.e2e.costs import Till
from tests.places.choice import bucket_only

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.e2e.costs import Cost
    from tests.e2e.machines import Machine
    from tests.places.place import Place
    from tests.servers.moto import MotoServer


def costs(machine: Machine, place: Place, server: MotoServer, files: int) -> list[Cost]:
    """Of every command, with so many files in the scope."""
    machine.set_up(place)
    till = Till(machine, place, server)
    till.prepare(files)
    return list(till.costs())


@bucket_only
@pytest.mark.timeout(120)
def test_every_command_keeps_to_its_budget(
    alone: Machine, place: Place, moto_process: MotoServer
) -> None:
    found = costs(alone, place, moto_process, 100)
    assert [cost for cost in found if not cost.is_within] == []


@bucket_only
@pytest.mark.servers
@pytest.mark.timeout(600)
def test_the_number_of_files_changes_nothing(
    machine: Callable[[str], Machine], place: Place, moto_process: MotoServer
) -> None:
    few = costs(machine("few"), place.another("few"), moto_process, 100)
    many = costs(machine("many"), place.another("many"), moto_process, 10_000)
    assert few == many
