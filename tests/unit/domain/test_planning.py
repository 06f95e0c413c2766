"""The table of section 6, row by row."""

from __future__ import annotations

import itertools

import pytest

from swampd.domain.entries import Entry, Tombstone
from swampd.domain.planning import Absent, Local, Opaque, Present, Step, plan_path
from swampd.domain.values import Content, Seq, Sha256, Wid

WID = Wid("0" * 32)
BASE = Content(1, Sha256("a" * 64))
MINE = Content(2, Sha256("b" * 64))
THEIRS = Content(3, Sha256("c" * 64))
GONE = Absent()
HIDDEN = Opaque("unreadable")

Remote = Entry | Tombstone | None


def entry(content: Content) -> Entry:
    return Entry(content.size, content.sha256, 0, content.x, WID, None)


def tombstone(content: Content | None) -> Tombstone:
    return Tombstone(WID, content.sha256 if content is not None else None, Seq(1), 0, swept=False)


def executable(content: Content) -> Content:
    return Content(content.size, content.sha256, x=True)


def plan(
    local: Local,
    base: Content | None,
    remote: Remote,
    *,
    joining: bool = False,
    base_seq: int = 5,
    forgotten_seq: int = 0,
) -> Step:
    return plan_path(
        local,
        base,
        remote,
        joining=joining,
        base_seq=Seq(base_seq),
        forgotten_seq=Seq(forgotten_seq),
    )


@pytest.mark.parametrize(
    ("local", "remote", "step"),
    [
        (Present(BASE), entry(BASE), Step.NOTHING),
        (Present(BASE), entry(THEIRS), Step.PLACE),
        (Present(BASE), entry(executable(BASE)), Step.PLACE),
        (Present(BASE), tombstone(BASE), Step.TRASH),
        (Present(BASE), tombstone(THEIRS), Step.TRASH),
        (Present(BASE), tombstone(None), Step.TRASH),
        (Present(MINE), entry(BASE), Step.PUSH),
        (Present(executable(BASE)), entry(BASE), Step.PUSH),
        (GONE, entry(BASE), Step.PUSH_TOMBSTONE),
        (GONE, tombstone(BASE), Step.DROP_BASE),
        (Present(MINE), tombstone(BASE), Step.FORGET_AND_PUSH),
        (Present(MINE), tombstone(MINE), Step.FORGET_AND_PUSH),
        (GONE, entry(THEIRS), Step.PLACE),
        (Present(MINE), entry(MINE), Step.AGREE),
        (Present(MINE), entry(THEIRS), Step.CONFLICT),
        (Present(MINE), entry(executable(MINE)), Step.CONFLICT),
    ],
)
def test_a_path_that_was_agreed_on(local: Local, remote: Remote, step: Step) -> None:
    assert plan(local, BASE, remote) is step


@pytest.mark.parametrize(
    ("local", "remote", "step"),
    [
        (GONE, None, Step.NOTHING),
        (GONE, entry(THEIRS), Step.PLACE),
        (GONE, tombstone(THEIRS), Step.NOTHING),
        (Present(MINE), None, Step.PUSH),
        (Present(MINE), entry(MINE), Step.AGREE),
        (Present(MINE), entry(THEIRS), Step.CONFLICT),
        (Present(MINE), entry(executable(MINE)), Step.CONFLICT),
        (Present(MINE), tombstone(MINE), Step.PUSH),
        (Present(MINE), tombstone(THEIRS), Step.PUSH),
        (Present(MINE), tombstone(None), Step.PUSH),
    ],
)
def test_a_path_that_is_new(local: Local, remote: Remote, step: Step) -> None:
    assert plan(local, None, remote) is step


@pytest.mark.parametrize(
    ("local", "remote", "step"),
    [
        (GONE, None, Step.DROP_BASE),
        (GONE, entry(THEIRS), Step.PLACE),
        (GONE, tombstone(THEIRS), Step.DROP_BASE),
        (Present(MINE), None, Step.PUSH),
        (Present(MINE), entry(MINE), Step.AGREE),
        (Present(MINE), entry(THEIRS), Step.CONFLICT),
        (Present(MINE), tombstone(MINE), Step.JOIN_TRASH),
        (Present(executable(MINE)), tombstone(MINE), Step.JOIN_TRASH),
        (Present(MINE), tombstone(THEIRS), Step.CONFLICT),
        (Present(MINE), tombstone(None), Step.PUSH),
    ],
)
def test_a_path_that_joins(local: Local, remote: Remote, step: Step) -> None:
    assert plan(local, None, remote, joining=True) is step


@pytest.mark.parametrize(
    ("local", "step"),
    [
        (Present(BASE), Step.TRASH),
        (Present(MINE), Step.FORGET_AND_PUSH),
        (GONE, Step.DROP_BASE),
        (HIDDEN, Step.HOLD),
    ],
)
def test_a_tombstone_dropped_since_we_looked_counts(local: Local, step: Step) -> None:
    assert plan(local, BASE, None, base_seq=4, forgotten_seq=5) is step


@pytest.mark.parametrize("local", [Present(BASE), Present(MINE), GONE, HIDDEN])
@pytest.mark.parametrize("base_seq", [5, 6])
def test_a_path_without_a_trace_is_a_head_that_went_back(local: Local, base_seq: int) -> None:
    assert plan(local, BASE, None, base_seq=base_seq, forgotten_seq=5) is Step.WENT_BACK


EVERYTHING = list(
    itertools.product(
        [None, BASE],
        [None, entry(BASE), entry(THEIRS), tombstone(BASE), tombstone(None)],
        [False, True],
    )
)


@pytest.mark.parametrize(("base", "remote", "joining"), EVERYTHING)
def test_nothing_is_decided_about_what_could_not_be_looked_at(
    base: Content | None,
    remote: Remote,
    joining: bool,  # noqa: FBT001
) -> None:
    step = plan(HIDDEN, base, remote, joining=joining, forgotten_seq=9)
    assert step is Step.HOLD


@pytest.mark.parametrize(("base", "remote", "joining"), EVERYTHING)
def test_a_delete_goes_out_only_for_what_was_agreed_on_and_not_changed(
    base: Content | None,
    remote: Remote,
    joining: bool,  # noqa: FBT001
) -> None:
    for local in (GONE, Present(BASE), Present(MINE), HIDDEN):
        step = plan(local, base, remote, joining=joining, forgotten_seq=9)
        if step is Step.PUSH_TOMBSTONE:
            assert (local, base, remote) == (GONE, BASE, entry(BASE))


@pytest.mark.parametrize(("base", "remote", "joining"), EVERYTHING)
def test_a_local_file_goes_only_if_the_other_side_has_seen_it(
    base: Content | None,
    remote: Remote,
    joining: bool,  # noqa: FBT001
) -> None:
    for local in (Present(BASE), Present(MINE)):
        step = plan(local, base, remote, joining=joining, forgotten_seq=9)
        if step in {Step.PLACE, Step.TRASH}:
            assert local.content == base
        if step is Step.JOIN_TRASH:
            assert isinstance(remote, Tombstone)
            assert local.content.sha256 == remote.sha256
