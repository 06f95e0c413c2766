"""A store is opened by the settings that name it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from swampd.domain.datastores import CloudEnvironment, DirectorySettings, S3Settings
from swampd.domain.outcomes import Applied
from swampd.errors import NotBuilt
from swampd.stores.registry import open_store
from tests.contract.subjects import A, InlineThreads

if TYPE_CHECKING:
    from pathlib import Path


def test_a_directory_is_opened(folder: Path) -> None:
    store = open_store(DirectorySettings(folder), CloudEnvironment(), InlineThreads())
    assert store.name == f"directory {folder}"
    assert store.capabilities.conditional_delete
    assert isinstance(asyncio.run(store.create(A, b"x", {})), Applied)
    assert (folder / A).read_bytes() == b"x"
    asyncio.run(store.close())


def test_what_is_not_built_is_refused_by_name() -> None:
    with pytest.raises(NotBuilt, match="'s3' is not built"):
        open_store(S3Settings("team-store"), CloudEnvironment(), InlineThreads())
