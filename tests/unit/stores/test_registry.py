"""A store is opened by the name of its type, or refused by it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from swampd.domain.outcomes import Applied
from swampd.errors import ConfigError, NotBuilt
from swampd.stores.registry import open_store
from tests.contract.subjects import A, InlineThreads

if TYPE_CHECKING:
    from pathlib import Path


def test_a_directory_is_opened(folder: Path) -> None:
    store = open_store("directory", {"path": str(folder)}, InlineThreads())
    assert store.name == f"directory {folder}"
    assert store.capabilities.conditional_delete
    assert isinstance(asyncio.run(store.create(A, b"x", {})), Applied)
    assert (folder / A).read_bytes() == b"x"
    asyncio.run(store.close())


def test_a_home_is_put_in(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(folder))
    assert open_store("directory", {"path": "~/x"}, InlineThreads()).name == f"directory {folder}/x"


@pytest.mark.parametrize(
    "config",
    [
        {},
        {"path": 7},
        {"path": "relative/folder"},
        {"path": ""},
        {"path": "/nul\0"},
        {"path": "~no-such-user-at-all/x"},
        {"path": "/x", "bucket": "b"},
    ],
    ids=range(7),
)
def test_a_configuration_that_cannot_be_right_is_refused(config: dict[str, object]) -> None:
    with pytest.raises(ConfigError):
        open_store("directory", config, InlineThreads())


@pytest.mark.parametrize(
    "name", ["filesystem", "s3", "gcs", "@swamp/s3-datastore", "@swamp/gcs-datastore"]
)
def test_what_is_not_built_is_refused_by_name(name: str) -> None:
    with pytest.raises(NotBuilt, match=name):
        open_store(name, {}, InlineThreads())


@pytest.mark.parametrize(
    ("name", "hint"), [("directroy", "'directory'"), ("S3", "s3"), ("ftp", "known are")]
)
def test_an_unknown_type_names_the_nearest_known_one(name: str, hint: str) -> None:
    with pytest.raises(ConfigError, match=name) as refused:
        open_store(name, {}, InlineThreads())
    assert hint in refused.value.hint
