"""What all tests share: servers, and where the machines of a test have their datastore."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from tests.places.choice import KINDS
from tests.places.folder import FolderPlace

if TYPE_CHECKING:
    from pathlib import Path

    from tests.places.place import Place

pytest_plugins = ["tests.servers.fixtures"]

# Nobody's credentials, and no machine asked for some.
for name in [name for name in os.environ if name.startswith("AWS_")]:
    del os.environ[name]
os.environ["AWS_EC2_METADATA_DISABLED"] = "true"
os.environ["AWS_CONFIG_FILE"] = os.environ["AWS_SHARED_CREDENTIALS_FILE"] = os.devnull


@pytest.fixture(params=KINDS)
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    """An empty place for a datastore, on each kind of store."""
    assert request.param in KINDS
    return FolderPlace(tmp_path / "store")
