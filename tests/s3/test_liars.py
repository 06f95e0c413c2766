"""A store that does not keep one promise is refused by name, with what would be lost; one that only
lacks what is not needed is used without it."""

from __future__ import annotations

import asyncio
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from swampd.chance import SystemRng
from swampd.errors import StoreRefused
from swampd.stores.probe import LOSS, OPTIONAL, Check, ProbeReport, Verdict, require_kept
from tests.s3.conftest import KEYS, Place
from tests.servers.clients import BUCKET, s3_client
from tests.servers.conditions import NOT_IMPLEMENTED
from tests.servers.refusals import Denial, Match
from tests.servers.responder import Responder
from tests.servers.s3rver import ACCESS_KEY, S3rver
from tests.servers.stores import environment_of

if TYPE_CHECKING:
    from pathlib import Path

PROMISES = (
    *(Check.CREATE, Check.CREATE_AGAIN, Check.REPLACE),
    *(Check.REPLACE_STALE, Check.REPLACE_MISSING, Check.DELETE_STALE),
)


def refusal(place: Place) -> StoreRefused:
    """What set-up says; it leaves nothing behind."""
    with pytest.raises(StoreRefused) as met:
        place.set_up()
    client = s3_client(place.url, ACCESS_KEY)
    assert "Contents" not in client.list_objects_v2(Bucket=place.bucket)
    return met.value


def lie(home: Path, broken: Check) -> StoreRefused:
    with closing(Responder(broken=broken, buckets=[BUCKET]).start()) as server:
        return refusal(Place(server.url, BUCKET, environment_of(home)))


@pytest.mark.parametrize("broken", PROMISES)
def test_a_broken_promise_is_named_with_what_it_costs(tmp_path: Path, broken: Check) -> None:
    error = lie(tmp_path, broken)
    assert error.summary.startswith(f"s3 {BUCKET}/team/notes at http://127.0.0.1:")
    assert error.summary.endswith(f" does not keep: {broken.value}; {LOSS[broken]}")
    assert "conditional writes" in error.hint
    assert error.meaning.exit_code == 10


def test_each_has_a_sentence_of_its_own(tmp_path: Path) -> None:
    said = {lie(tmp_path, broken).summary.partition("does not keep: ")[2] for broken in PROMISES}
    assert len(said) == len(PROMISES)


def test_all_that_must_be_kept_is_among_them() -> None:
    assert {check for check in Check if check not in OPTIONAL} < set(PROMISES)


def test_what_is_served_already_is_probed_again(tmp_path: Path) -> None:
    """A layout that is there makes no store trusted."""
    with closing(Responder(buckets=[BUCKET]).start()) as good:
        Place(good.url, BUCKET, environment_of(tmp_path)).set_up()
        layout = s3_client(good.url).get_object(Bucket=BUCKET, Key=KEYS.layout)["Body"].read()
    with closing(Responder(broken=Check.REPLACE_STALE, buckets=[BUCKET]).start()) as server:
        s3_client(server.url).put_object(Bucket=BUCKET, Key=KEYS.layout, Body=layout)
        with pytest.raises(StoreRefused):
            Place(server.url, BUCKET, environment_of(tmp_path)).set_up()


@pytest.mark.parametrize(
    ("lacks", "check", "lacking"),
    [
        (Match("DELETE", query="^x-id=DeleteObject$|^$"), Check.DELETE_STALE, "conditional_delete"),
        (Match("POST", query="uploads"), Check.PARTS, "parts"),
    ],
)
def test_what_is_not_supported_is_done_without(
    tmp_path: Path, lacks: Match, check: Check, lacking: str
) -> None:
    async def run(place: Place) -> ProbeReport:
        one, two = place.open(), place.open()
        report = await require_kept(one, two, KEYS, SystemRng())
        for store in (one, two):
            assert (store.parts is None) == (lacking == "parts")
            can_delete = store.capabilities.conditional_delete
            assert can_delete == (lacking != "conditional_delete")
            await store.close()
        return report

    with closing(Responder(buckets=[BUCKET]).start()) as server:
        server.deny(Denial(lacks, NOT_IMPLEMENTED))
        report = asyncio.run(run(Place(server.url, BUCKET, environment_of(tmp_path))))
    assert report.refused is None
    assert report.verdicts[check] is Verdict.NOT_SUPPORTED
    assert set(report.verdicts.values()) == {Verdict.KEPT, Verdict.NOT_SUPPORTED}


@pytest.mark.servers
@pytest.mark.timeout(300)
def test_s3rver_is_refused_by_name(tmp_path: Path) -> None:
    server = S3rver(tmp_path / "s3rver", [BUCKET]).start()
    try:
        error = refusal(Place(server.url, BUCKET, environment_of(tmp_path, ACCESS_KEY)))
    finally:
        server.close()
    assert f"at {server.url} does not keep: {Check.CREATE_AGAIN.value}" in error.summary
    assert LOSS[Check.CREATE_AGAIN] in error.summary
