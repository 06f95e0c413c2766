"""The fixture `place`: where the machines of a test have their datastore."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.places.choice import DIRECTORY, EACH
from tests.places.folder import FolderPlace

if TYPE_CHECKING:
    from pathlib import Path

    from tests.places.place import Place


@pytest.fixture(params=EACH)
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    """An empty place for a datastore, on each kind of store."""
    if request.param == DIRECTORY:
        return FolderPlace(tmp_path / "store")
    from tests.places.bucket import BucketPlace  # noqa: PLC0415 - boto3 takes its time

    return BucketPlace(request.getfixturevalue("moto_process"), tmp_path / "store-home")
