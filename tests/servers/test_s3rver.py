"""s3rver is what it is here for: an S3 that serves, and ignores conditions."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.servers.clients import BUCKET, refusal, s3_client
from tests.servers.s3rver import ACCESS_KEY, S3rver

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def s3rver(tmp_path: Path) -> Iterator[S3rver]:
    server = S3rver(tmp_path / "s3rver", [BUCKET]).start()
    yield server
    server.close()


@pytest.mark.servers
@pytest.mark.timeout(300)
def test_it_creates_what_is_there(s3rver: S3rver) -> None:
    client = s3_client(s3rver.url, ACCESS_KEY)
    for body in (b"1", b"2"):
        again = refusal(
            lambda: client.put_object(Bucket=BUCKET, Key="k", Body=body, IfNoneMatch="*")  # noqa: B023
        )
        assert again == (200, "")
    assert client.get_object(Bucket=BUCKET, Key="k")["Body"].read() == b"2"
    assert [one["Key"] for one in client.list_objects_v2(Bucket=BUCKET)["Contents"]] == ["k"]


def test_without_node_it_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(RuntimeError, match=r"needs Node\.js.*no `node`.*install Node"):
        S3rver(tmp_path / "s3rver").start()
