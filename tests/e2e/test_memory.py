"""A large file never is in a daemon's memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.e2e.large_files import MOST_GROWTH_MIB, growth
from tests.places.bucket import BucketPlace
from tests.servers.responder import ResponderProcess

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.e2e.machines import Machine

SIZE = 256 << 20


@pytest.fixture
def forgetful() -> Iterator[ResponderProcess]:
    """A server that keeps no large bodies."""
    server = ResponderProcess("--hash-over", str(1 << 20)).start()
    yield server
    server.close()


@pytest.mark.servers
@pytest.mark.timeout(300)
def test_a_push_of_a_large_file_takes_little_memory(
    alone: Machine, forgetful: ResponderProcess, tmp_path: Path
) -> None:
    found = growth(alone, BucketPlace(forgetful, tmp_path / "store-home"), SIZE)
    assert found.most <= MOST_GROWTH_MIB, found
