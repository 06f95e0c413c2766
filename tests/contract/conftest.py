"""One fixture: every store, one after the other."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.contract.subjects import KINDS, PoolThreads, Subject, make_subject

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(params=KINDS)
def subject(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Subject]:
    threads = PoolThreads()
    folder = tmp_path / "store"
    folder.mkdir()
    yield make_subject(request.param, folder, threads)
    threads.shut_down()
