"""One fixture: every store, one after the other."""

from __future__ import annotations

import asyncio
import uuid
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest

from swampd.chance import SystemRng
from swampd.domain.layout import Keys
from swampd.stores.probe import require_kept
from tests.contract.subjects import KINDS, PoolThreads, Subject, make_subject, s3_subject
from tests.servers.clients import s3_client
from tests.servers.responder import Responder

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.servers.moto import MotoServer


@pytest.fixture(params=KINDS)
def subject(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Subject]:
    if request.param.startswith("s3-"):
        bucket: Bucket = request.getfixturevalue(request.param.replace("-", "_"))
        yield bucket.subject
        bucket.empty()
        return
    threads = PoolThreads()
    folder = tmp_path / "store"
    folder.mkdir()
    yield make_subject(request.param, folder, threads)
    threads.shut_down()


class Bucket:
    """A bucket through two connections, for one test after the other: a client takes a while to
    make."""

    def __init__(self, url: str, home: Path, *, holds_newlines: bool) -> None:
        self._name = f"contract-{uuid.uuid4()}"
        self._client = s3_client(url)
        self._client.create_bucket(Bucket=self._name)
        self.subject = s3_subject(url, self._name, home, holds_newlines=holds_newlines)
        asyncio.run(require_kept(self.subject.store, self.subject.other, Keys(), SystemRng()))

    def empty(self) -> None:
        while rows := self._client.list_objects_v2(Bucket=self._name).get("Contents"):
            names = [row["Key"] for row in rows]
            plain: Any = [{"Key": name} for name in names if name.isprintable()]
            if plain:
                self._client.delete_objects(Bucket=self._name, Delete={"Objects": plain})
            for name in names:
                if not name.isprintable():
                    self._client.delete_object(Bucket=self._name, Key=name)

    def close(self) -> None:
        asyncio.run(self.subject.store.close())
        asyncio.run(self.subject.other.close())


@pytest.fixture(scope="session")
def s3_moto(moto_process: MotoServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bucket]:
    home = tmp_path_factory.mktemp("contract")
    with closing(Bucket(moto_process.url, home, holds_newlines=False)) as bucket:
        yield bucket


@pytest.fixture(scope="session")
def s3_responder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bucket]:
    with closing(Responder().start()) as server:
        home = tmp_path_factory.mktemp("contract")
        with closing(Bucket(server.url, home, holds_newlines=True)) as bucket:
            yield bucket
