"""The servers as fixtures, for every folder of tests."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.servers.moto import MotoServer

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="session")
def moto_process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MotoServer]:
    """One moto for all; it starts in a second."""
    server = MotoServer(tmp_path_factory.mktemp("moto")).start()
    yield server
    server.close()
