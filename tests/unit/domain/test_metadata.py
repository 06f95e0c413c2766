"""What marks an object as ours; anything else is foreign and left alone."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swampd.domain.metadata import (
    DIGEST,
    MARK,
    PayloadMark,
    path_digest,
    payload_metadata,
    read_mark,
)
from swampd.domain.values import CachePath, Epoch, Sha256, Wid

PATH = CachePath("data/x/ä.json")
WID = Wid("0123456789abcdef" * 2)
OURS = PayloadMark(WID, Epoch(42), Sha256("c" * 64))
MADE_FOR = path_digest(PATH)


def foreign(mark: str, digest: str = "c" * 64) -> bool:
    return read_mark(PATH, {MARK: mark, DIGEST: digest}) is None


def test_the_mark_is_written_as_section_1_says() -> None:
    digest = hashlib.sha256("data/x/ä.json".encode()).hexdigest()[:16]
    assert payload_metadata(PATH, OURS) == {
        "swampd": f"1 {WID} 42 {digest}",
        "swampd-sha256": "c" * 64,
    }


@given(st.uuids(), st.integers(0, 10**18 - 1), st.binary(min_size=32, max_size=32))
def test_a_mark_comes_back(wid: object, epoch: int, digest: bytes) -> None:
    mark = PayloadMark(Wid(str(wid).replace("-", "")), Epoch(epoch), Sha256(digest.hex()))
    assert read_mark(PATH, payload_metadata(PATH, mark)) == mark


def test_other_metadata_beside_the_mark_does_not_matter() -> None:
    assert read_mark(PATH, {**payload_metadata(PATH, OURS), "author": "x"}) == OURS


def test_an_object_without_a_mark_is_foreign() -> None:
    assert read_mark(PATH, {}) is None
    assert read_mark(PATH, {MARK: payload_metadata(PATH, OURS)[MARK]}) is None
    assert read_mark(PATH, {DIGEST: OURS.sha256}) is None


def test_an_object_that_somebody_copied_here_is_foreign() -> None:
    assert read_mark(CachePath("data/y"), payload_metadata(PATH, OURS)) is None


@pytest.mark.parametrize(
    "mark",
    [
        "",
        f"2 {WID} 42 {MADE_FOR}",
        f"1 {WID} 42",
        f"1 {WID} 42 {MADE_FOR} more",
        f"1  {WID} 42 {MADE_FOR}",
        f" 1 {WID} 42 {MADE_FOR}",
        f"1 {WID} 42 {MADE_FOR}\n",
        f"1 {WID} -1 {MADE_FOR}",
        f"1 {WID} ٤٢ {MADE_FOR}",
        f"1 {WID} ² {MADE_FOR}",
        f"1 {WID} 4.2 {MADE_FOR}",
        f"1 {WID} {'9' * 5000} {MADE_FOR}",
        f"1 {WID.upper()} 42 {MADE_FOR}",
        f"1 ../../layout 42 {MADE_FOR}",
        f"1 {WID}0 42 {MADE_FOR}",
        f"1 {WID} 42 {MADE_FOR[:-1]}",
    ],
)
def test_an_object_with_an_unreadable_mark_is_foreign(mark: str) -> None:
    assert foreign(mark)


@pytest.mark.parametrize("digest", ["", "c" * 63, "c" * 65, "C" * 64, "g" * 64, "c" * 63 + "\n"])
def test_an_object_without_a_digest_is_foreign(digest: str) -> None:
    assert foreign(payload_metadata(PATH, OURS)[MARK], digest)


@given(st.text(), st.text())
def test_hostile_metadata_is_never_an_error(mark: str, digest: str) -> None:
    assert foreign(mark, digest)
