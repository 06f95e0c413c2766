"""One fixture: every store, one after the other."""

from __future__ import annotations

import asyncio
import uuid
from typing import TYPE_CHECKING

import pytest

from swampd.chance import SystemRng
from swampd.domain.layout import Keys
from swampd.stores.probe import require_kept
from tests.contract.subjects import KINDS, PoolThreads, Subject, make_subject, s3_subject
from tests.servers.clients import s3_client

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(params=KINDS)
def subject(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Subject]:
    if request.param == "s3-moto":
        yield from _on_moto(request, tmp_path)
        return
    threads = PoolThreads()
    folder = tmp_path / "store"
    folder.mkdir()
    yield make_subject(request.param, folder, threads)
    threads.shut_down()


def _on_moto(request: pytest.FixtureRequest, home: Path) -> Iterator[Subject]:
    moto = request.getfixturevalue("moto_process")
    bucket = f"contract-{uuid.uuid4()}"
    s3_client(moto.url).create_bucket(Bucket=bucket)
    subject = s3_subject(moto.url, bucket, home)
    asyncio.run(require_kept(subject.store, subject.other, Keys(), SystemRng()))
    yield subject
    asyncio.run(subject.store.close())
    asyncio.run(subject.other.close())
