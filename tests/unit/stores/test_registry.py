"""A store is opened by the settings that name it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from swampd.domain.datastores import CloudEnvironment, DirectorySettings, S3Settings
from swampd.domain.outcomes import Applied
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


def test_a_bucket_is_opened_without_asking_it() -> None:
    store = open_store(S3Settings("team-store", "x/y"), CloudEnvironment(), InlineThreads())
    assert store.name == "s3 team-store/x/y"
    assert store.parts is not None
    asyncio.run(store.close())
