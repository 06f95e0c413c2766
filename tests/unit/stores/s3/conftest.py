"""Both libraries, set up once for a file of tests, and the server that they ask."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from tests.servers.canned import Canned
from tests.unit.stores.s3.asking import LIBRARIES, Boto

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.unit.stores.s3.asking import Library


@pytest.fixture(scope="module")
def served() -> Iterator[Canned]:
    with closing(Canned(b"").start()) as canned:
        yield canned


@pytest.fixture(scope="module")
def libraries(served: Canned, tmp_path_factory: pytest.TempPathFactory) -> list[Library]:
    home = tmp_path_factory.mktemp("home")
    return [library(served.url, home) for library in LIBRARIES]


@pytest.fixture
def server(served: Canned) -> Canned:
    served.heard.clear()
    return served


@pytest.fixture(params=range(len(LIBRARIES)), ids=["boto3", "obstore"])
def library(request: pytest.FixtureRequest, libraries: list[Library]) -> Library:
    index: int = request.param
    return libraries[index]


@pytest.fixture
def boto(libraries: list[Library]) -> Boto:
    found = libraries[0]
    assert isinstance(found, Boto)
    return found
