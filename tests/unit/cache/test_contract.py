"""What every `FileTree` keeps: the one on disk, in each of its ways, and the one in memory."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import pytest

from swampd.cache.tree import LocalTree
from swampd.domain.values import CachePath, Sha256
from swampd.ports import (
    Above,
    FileRead,
    Kind,
    NotUtf8,
    PlaceProblem,
    ReadProblem,
    Seen,
    Stamp,
)
from tests.unit.cache.conftest import DiskUser, World, sim_tree
from tests.unit.cache.forcing import walk_by_components, without_renameat2

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(params=["local", "local without flags", "local walking", "sim", "sim in steps"])
def world(
    request: pytest.FixtureRequest, root: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[World]:
    if request.param.startswith("sim"):
        sim = sim_tree(exchange_supported=request.param == "sim")
        yield World(sim, sim)
        return
    if request.param == "local without flags":
        without_renameat2(monkeypatch)
    if request.param == "local walking":
        walk_by_components(monkeypatch)
    with LocalTree(root) as tree:
        yield World(tree, DiskUser(root))


def nothing_pruned(_: str) -> bool:
    return False


def sha256(data: bytes) -> Sha256:
    return Sha256(hashlib.sha256(data).hexdigest())


def scanned(world: World, under: str = "") -> dict[str, Kind]:
    rows = list(world.tree.scan(under, nothing_pruned))
    assert all(isinstance(row, Seen) for row in rows)
    return {row.path: row.kind for row in rows if isinstance(row, Seen)}


def stamp(world: World, path: str) -> Stamp:
    seen = world.tree.stat(path)
    assert seen is not None
    assert seen.stamp is not None
    return seen.stamp


def body(world: World, path: str) -> bytes:
    answer = world.tree.read(CachePath(path), keep=True)
    assert isinstance(answer, FileRead)
    assert isinstance(answer.body, bytes)
    return answer.body


# --- root and marker --------------------------------------------------------------------------


def test_a_fresh_tree_is_present_and_has_no_marker(world: World) -> None:
    assert world.tree.present()
    assert world.tree.marker() is None


def test_a_marker_is_replaced(world: World) -> None:
    world.tree.write_marker(b"one")
    world.tree.write_marker(b"two")
    assert world.tree.marker() == b"two"
    assert world.user.private_files() == {".swampd/cache-id": b"two"}


def test_a_marker_that_a_user_removed_is_none_and_can_be_written(world: World) -> None:
    world.tree.write_marker(b"one")
    world.user.delete(".swampd")
    assert world.tree.marker() is None
    world.tree.write_marker(b"two")
    assert world.tree.marker() == b"two"


def test_the_clock_of_the_file_system_does_not_lag_behind_a_write(world: World) -> None:
    world.user.write("f", b"")
    assert world.tree.now_ns() >= stamp(world, "f").mtime_ns


def test_there_is_space(world: World) -> None:
    assert world.tree.free_bytes() > 0


# --- scan, children, stat ---------------------------------------------------------------------


def test_a_scan_sees_each_file_once_and_no_directory(world: World) -> None:
    world.user.write("f", b"1")
    world.user.write("a/f", b"2")
    world.user.write("a/b/f", b"3")
    world.user.mkdir("empty")
    assert scanned(world) == {"f": Kind.FILE, "a/f": Kind.FILE, "a/b/f": Kind.FILE}


def test_a_scan_gives_the_stamp_that_stat_gives(world: World) -> None:
    world.user.write("a/f", b"12345", x=True)
    (row,) = world.tree.scan("", nothing_pruned)
    assert row == world.tree.stat("a/f")
    assert stamp(world, "a/f").size == 5
    assert stamp(world, "a/f").x


def test_a_scan_leaves_the_private_area_out(world: World) -> None:
    world.stage("n", b"")
    world.tree.write_marker(b"m")
    assert scanned(world) == {}
    assert world.tree.children("") == []


def test_a_pruned_name_is_skipped_whole(world: World) -> None:
    world.user.write("keep", b"")
    world.user.write("skip/a/f", b"")
    world.user.write("file", b"")
    asked: list[str] = []

    def prune(path: str) -> bool:
        asked.append(path)
        return path in {"skip", "file"}

    assert [row.path for row in world.tree.scan("", prune)] == ["keep"]
    assert sorted(asked) == ["file", "keep", "skip"]


def test_a_scan_starts_anywhere_and_does_not_ask_about_its_start(world: World) -> None:
    world.user.write("a/b/f", b"")
    world.user.write("a/g", b"")
    rows = world.tree.scan("a/b", lambda path: path == "a/b")
    assert [row.path for row in rows] == ["a/b/f"]


def test_a_scan_of_nothing_is_empty_and_of_a_file_is_the_file(world: World) -> None:
    world.user.write("a/f", b"")
    assert scanned(world, "missing") == {}
    assert scanned(world, "missing/too") == {}
    assert scanned(world, "a/f/below") == {}
    assert scanned(world, "a/f") == {"a/f": Kind.FILE}


def test_links_and_fifos_are_listed_and_have_no_stamp(world: World) -> None:
    world.user.special("a/link", Kind.SYMLINK)
    world.user.special("a/fifo", Kind.OTHER)
    assert scanned(world) == {"a/link": Kind.SYMLINK, "a/fifo": Kind.OTHER}
    assert world.tree.stat("a/link") == Seen("a/link", Kind.SYMLINK, None)
    assert world.tree.stat("a/fifo") == Seen("a/fifo", Kind.OTHER, None)


def test_a_name_that_is_not_utf8_is_reported_and_harms_nothing(world: World) -> None:
    world.user.write("a/ok", b"")
    world.user.write("a/b\udcffd", b"")
    world.user.write("d\udcff/below", b"")
    rows = set(world.tree.scan("", nothing_pruned))
    assert rows == {world.tree.stat("a/ok"), NotUtf8(r"a/b\xffd"), NotUtf8(r"d\xff")}
    assert [seen.path for seen in world.tree.children("a")] == ["a/ok"]


def test_names_in_any_script_are_ordinary(world: World) -> None:
    world.user.write("höhe/数据", b"x")
    assert scanned(world) == {"höhe/数据": Kind.FILE}
    assert body(world, "höhe/数据") == b"x"
    world.stage("n", b"y")
    assert world.exchange("n", "höhe/数据") is None


def test_children_are_the_names_directly_below_with_their_kinds(world: World) -> None:
    world.user.write("a/b/deep", b"")
    world.user.write("a/f", b"")
    world.user.special("a/l", Kind.SYMLINK)
    kinds = {seen.path: seen.kind for seen in world.tree.children("a")}
    assert kinds == {"a/b": Kind.DIRECTORY, "a/f": Kind.FILE, "a/l": Kind.SYMLINK}
    assert [seen.path for seen in world.tree.children("")] == ["a"]


def test_no_directory_has_no_children(world: World) -> None:
    world.user.write("f", b"")
    world.user.special("l", Kind.SYMLINK)
    assert [list(world.tree.children(path)) for path in ("missing", "f", "l", "f/x")] == [[]] * 4


def test_nothing_is_at_a_name_below_a_file(world: World) -> None:
    world.user.write("f", b"")
    world.user.mkdir("d")
    assert world.tree.stat("missing") is None
    assert world.tree.stat("missing/f") is None
    assert world.tree.stat("f/x") is None
    assert world.tree.stat("d") == Seen("d", Kind.DIRECTORY, None)
    assert world.tree.stat("") == Seen("", Kind.DIRECTORY, None)


def test_an_edit_in_place_changes_the_stamp_and_keeps_the_inode(world: World) -> None:
    world.user.write("f", b"one")
    before = stamp(world, "f")
    world.user.edit("f", b"three")
    assert stamp(world, "f") != before
    assert stamp(world, "f").ino == before.ino


def test_the_execute_bit_is_part_of_the_stamp(world: World) -> None:
    world.user.write("f", b"")
    assert not stamp(world, "f").x
    world.user.chmod("f", x=True)
    assert stamp(world, "f").x


# --- read -------------------------------------------------------------------------------------


@pytest.mark.parametrize("data", [b"", b"x", b"\0" * 70_000])
def test_a_read_gives_bytes_digest_and_stamp(world: World, data: bytes) -> None:
    world.user.write("a/f", data)
    digest = sha256(data)
    assert world.tree.read(CachePath("a/f"), keep=True) == FileRead(
        stamp(world, "a/f"), digest, data
    )
    assert world.tree.read(CachePath("a/f"), keep=False) == FileRead(
        stamp(world, "a/f"), digest, None
    )


def test_what_is_no_file_is_not_read(world: World) -> None:
    world.user.mkdir("d")
    world.user.special("link", Kind.SYMLINK)
    world.user.special("fifo", Kind.OTHER)
    world.user.write("f", b"")
    answers = {
        path: world.tree.read(CachePath(path), keep=True)
        for path in ("d", "link", "fifo", "missing", "missing/f", "f/x")
    }
    assert answers == {
        "d": ReadProblem.NOT_A_FILE,
        "link": ReadProblem.NOT_A_FILE,
        "fifo": ReadProblem.NOT_A_FILE,
        "missing": ReadProblem.GONE,
        "missing/f": ReadProblem.GONE,
        "f/x": ReadProblem.GONE,
    }


# --- tmp --------------------------------------------------------------------------------------


def test_a_scratch_file_has_its_bytes_mtime_and_execute_bit(world: World) -> None:
    with world.tree.write_tmp("n", x=True) as sink:
        sink(b"one ")
        sink(b"")
        sink(b"two")
    given = world.tree.finish_tmp("n", 12_345_000)
    assert (given.size, given.mtime_ns, given.x) == (7, 12_345_000, True)
    assert world.tree.stat_tmp("n") == Seen("tmp/n", Kind.FILE, given)
    answer = world.tree.hash_tmp("n")
    assert answer == FileRead(given, sha256(b"one two"), None)


def test_a_scratch_file_goes_when_its_block_fails(world: World) -> None:
    def fail() -> None:
        with world.tree.write_tmp("n", x=False) as sink:
            sink(b"half")
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert world.tree.stat_tmp("n") is None


def test_a_scratch_file_takes_the_place_of_a_leftover(world: World) -> None:
    world.stage("n", b"old and long")
    world.stage("n", b"new")
    assert world.user.private_files() == {".swampd/tmp/n": b"new"}


def test_dropping_is_done_once_or_more(world: World) -> None:
    world.stage("n", b"")
    world.tree.drop_tmp("n")
    world.tree.drop_tmp("n")
    world.tree.drop_trash("n")
    assert world.user.private_files() == {}
    assert world.tree.stat_tmp("n") is None
    assert world.tree.hash_tmp("n") is ReadProblem.GONE
    assert world.tree.hash_trash("n") is ReadProblem.GONE


def test_clearing_keeps_what_is_named(world: World) -> None:
    for name in ("a", "b", "c"):
        world.stage(name, b"")
    world.tree.clear_tmp(["b", "not there"])
    assert list(world.user.private_files()) == [".swampd/tmp/b"]


def test_an_aside_stays_with_its_file_or_goes_to_the_trash(world: World) -> None:
    for name in ("a", "a.old", "b.old"):
        world.stage(name, b"")
    world.tree.clear_tmp(["a"])
    assert sorted(world.user.private_files()) == [
        ".swampd/tmp/a",
        ".swampd/tmp/a.old",
        ".swampd/trash/b.old",
    ]


def test_sync_is_quiet(world: World) -> None:
    world.stage("n", b"")
    world.tree.sync()


# --- place ------------------------------------------------------------------------------------


def test_a_new_file_is_placed_with_its_parents(world: World) -> None:
    world.stage("n", b"data", mtime_ns=77_000)
    assert world.place("n", "a/b/f") is None
    assert world.user.files() == {"a/b/f": b"data"}
    assert world.tree.stat_tmp("n") is None
    assert stamp(world, "a/b/f").mtime_ns == 77_000


def test_a_taken_name_is_not_overwritten(world: World) -> None:
    world.user.write("f", b"the user's")
    world.user.special("l", Kind.SYMLINK)
    world.user.mkdir("d")
    world.stage("n", b"ours")
    assert world.place("n", "f") is PlaceProblem.OCCUPIED
    assert world.place("n", "l") is PlaceProblem.OCCUPIED
    assert world.place("n", "d") is PlaceProblem.BLOCKED
    assert world.user.files() == {"f": b"the user's"}
    assert world.user.private_files() == {".swampd/tmp/n": b"ours"}


def test_a_file_or_link_for_a_parent_blocks(world: World) -> None:
    world.user.write("f", b"")
    world.user.special("l", Kind.SYMLINK)
    world.stage("n", b"")
    for path in ("f/x", "l/x", "f/x/y"):
        assert world.place("n", path) is PlaceProblem.BLOCKED
        assert world.exchange("n", path) is PlaceProblem.BLOCKED
        assert world.tree.move_to_tmp(CachePath(path), "m") is PlaceProblem.BLOCKED


@pytest.mark.parametrize(
    "path", ["..", "../x", "a/../../x", "", "a//b", "/etc/x", "a/", "./x", "\ud800"]
)
def test_no_path_leads_out(world: World, path: str) -> None:
    world.user.mkdir("a")
    world.stage("n", b"")
    assert world.place("n", path) is PlaceProblem.NAME_REFUSED
    assert world.exchange("n", path) is PlaceProblem.NAME_REFUSED
    assert world.tree.move_to_tmp(CachePath(path), "m") is PlaceProblem.NAME_REFUSED
    assert world.tree.read(CachePath(path), keep=False) is ReadProblem.UNREADABLE
    assert world.user.files() == {}


def test_a_name_may_have_255_bytes_and_no_more(world: World) -> None:
    world.stage("n", b"")
    assert world.place("n", "a/" + "ö" * 128) is PlaceProblem.NAME_REFUSED
    assert world.tree.stat("ö" * 128) is None
    longest = "ö" * 127 + "x"
    assert world.place("n", f"a/{longest}") is None
    assert scanned(world) == {f"a/{longest}": Kind.FILE}


def test_exchange_swaps(world: World) -> None:
    world.user.write("a/f", b"old")
    old = stamp(world, "a/f")
    world.stage("n", b"new", mtime_ns=5_000)
    assert world.exchange("n", "a/f") is None
    assert world.user.files() == {"a/f": b"new"}
    assert stamp(world, "a/f").mtime_ns == 5_000
    out = world.tree.stat_tmp("n")
    assert out is not None
    assert out.stamp is not None
    # A rename changes ctime and nothing else.
    assert (out.stamp.ino, out.stamp.mtime_ns) == (old.ino, old.mtime_ns)
    assert world.user.private_files() == {".swampd/tmp/n": b"old"}


def test_exchange_swaps_back(world: World) -> None:
    world.user.write("f", b"edited just now")
    world.stage("n", b"new")
    assert world.exchange("n", "f") is None
    assert world.exchange("n", "f") is None
    assert world.user.files() == {"f": b"edited just now"}
    assert world.user.private_files() == {".swampd/tmp/n": b"new"}


def test_exchange_needs_a_file_there(world: World) -> None:
    world.user.mkdir("d")
    world.stage("n", b"new")
    assert world.exchange("n", "missing") is PlaceProblem.ABSENT
    assert world.exchange("n", "missing/f") is PlaceProblem.ABSENT
    assert world.exchange("n", "d") is PlaceProblem.BLOCKED
    assert world.user.private_files() == {".swampd/tmp/n": b"new"}


def test_exchange_takes_a_link_out(world: World) -> None:
    world.user.special("l", Kind.SYMLINK)
    world.stage("n", b"new")
    assert world.exchange("n", "l") is None
    assert world.tree.stat_tmp("n") == Seen("tmp/n", Kind.SYMLINK, None)
    assert world.user.files() == {"l": b"new"}


def test_placing_what_is_not_staged_is_a_mistake_of_the_caller(world: World) -> None:
    world.user.write("f", b"")
    for work in (
        lambda: world.place("n", "g"),
        lambda: world.exchange("n", "f"),
        lambda: world.tree.tmp_to_trash("n"),
        lambda: world.tree.tmp_to_conflicts("n", CachePath("f")),
        lambda: world.tree.finish_tmp("n", 0),
    ):
        with pytest.raises(FileNotFoundError):
            work()
    assert world.user.files() == {"f": b""}


# --- move away, trash, conflicts --------------------------------------------------------------


def test_a_file_is_moved_away_and_put_back(world: World) -> None:
    world.user.write("a/f", b"data")
    assert world.tree.move_to_tmp(CachePath("a/f"), "n") is None
    assert world.user.files() == {}
    assert world.place("n", "a/f") is None
    assert world.user.files() == {"a/f": b"data"}


def test_a_link_is_moved_away_and_a_directory_is_not(world: World) -> None:
    world.user.special("l", Kind.SYMLINK)
    world.user.mkdir("d")
    assert world.tree.move_to_tmp(CachePath("l"), "n") is None
    assert world.tree.stat_tmp("n") == Seen("tmp/n", Kind.SYMLINK, None)
    assert world.place("n", "l") is None
    assert world.tree.move_to_tmp(CachePath("d"), "n") is PlaceProblem.BLOCKED
    assert world.tree.move_to_tmp(CachePath("missing"), "n") is PlaceProblem.ABSENT


def test_moving_away_never_overwrites_a_scratch_file(world: World) -> None:
    world.user.write("f", b"theirs")
    world.stage("n", b"ours")
    with pytest.raises(FileExistsError):
        world.tree.move_to_tmp(CachePath("f"), "n")
    assert world.user.files() == {"f": b"theirs"}


def test_trash_is_listed_hashed_and_dropped(world: World) -> None:
    for name in ("a", "b"):
        world.stage(name, name.encode())
        world.tree.tmp_to_trash(name)
    assert sorted(world.tree.trash()) == ["a", "b"]
    answer = world.tree.hash_trash("a")
    assert isinstance(answer, FileRead)
    assert answer.sha256 == sha256(b"a")
    world.tree.drop_trash("a")
    assert list(world.tree.trash()) == ["b"]


def test_the_trash_never_overwrites(world: World) -> None:
    world.stage("n", b"first")
    world.tree.tmp_to_trash("n")
    world.stage("n", b"second")
    with pytest.raises(FileExistsError):
        world.tree.tmp_to_trash("n")
    assert world.user.private_files()[".swampd/trash/n"] == b"first"


def test_conflict_copies_never_overwrite_each_other(world: World) -> None:
    places = []
    for number in range(3):
        world.stage("n", b"%d" % number)
        places.append(world.tree.tmp_to_conflicts("n", CachePath("a/f")))
    conflicts = ".swampd/conflicts/"
    assert places == [f"{conflicts}a/f", f"{conflicts}a/f.1", f"{conflicts}a/f.2"]
    assert [world.user.private_files()[place] for place in places] == [b"0", b"1", b"2"]


def test_a_conflict_copy_finds_a_place_below_another_one(world: World) -> None:
    world.stage("n", b"")
    world.tree.tmp_to_conflicts("n", CachePath("a"))
    world.stage("n", b"")
    place = world.tree.tmp_to_conflicts("n", CachePath("a/b/f"))
    assert place == ".swampd/conflicts/a.1/b/f"


def test_a_conflict_copy_of_the_longest_name_is_numbered_too(world: World) -> None:
    longest = "ö" * 127
    places = set()
    for _ in range(3):
        world.stage("n", b"")
        places.add(world.tree.tmp_to_conflicts("n", CachePath(longest)))
    assert len(places) == 3


def test_a_conflict_copy_comes_from_the_trash_too_and_is_read_and_dropped(world: World) -> None:
    world.stage("n", b"kept")
    world.tree.tmp_to_trash("n")
    place = world.tree.trash_to_conflicts("n", CachePath("a/b/f"))
    answer = world.tree.read_conflict(place)
    assert isinstance(answer, FileRead)
    assert answer.body == b"kept"
    world.tree.drop_conflict(place)
    world.tree.drop_conflict(place)
    world.tree.drop_conflict(f"{place}/below")
    assert world.tree.read_conflict(place) is ReadProblem.GONE
    assert world.tree.stat(".swampd/conflicts/a") is None
    assert world.tree.stat(".swampd/conflicts") is not None


def test_a_place_that_is_no_conflict_copy_is_refused(world: World) -> None:
    with pytest.raises(ValueError, match="f"):
        world.tree.read_conflict("f")
    with pytest.raises(ValueError, match="f"):
        world.tree.drop_conflict("f")


def test_the_private_area_comes_back_when_a_user_removed_it(world: World) -> None:
    world.user.delete(".swampd")
    world.stage("n", b"")
    world.tree.tmp_to_trash("n")
    world.user.delete(".swampd")
    assert list(world.tree.trash()) == []
    world.tree.clear_tmp([])


# --- prune ------------------------------------------------------------------------------------


def test_empty_parents_go_but_not_the_top_level(world: World) -> None:
    world.user.mkdir("a/b/c")
    world.tree.prune_empty(CachePath("a/b/c/f"))
    assert world.tree.stat("a/b") is None
    assert world.tree.stat("a") is not None


def test_parents_that_are_not_empty_stay(world: World) -> None:
    world.user.mkdir("a/b/c")
    world.user.write("a/b/other", b"")
    world.tree.prune_empty(CachePath("a/b/c/f"))
    assert world.tree.stat("a/b/c") is None
    assert world.user.files() == {"a/b/other": b""}


def test_pruning_goes_up_from_a_parent_that_is_gone_and_minds_what_is_no_directory(
    world: World,
) -> None:
    world.user.mkdir("a/b")
    world.user.special("c/l", Kind.SYMLINK)
    world.tree.prune_empty(CachePath("a/b/gone/f"))
    world.tree.prune_empty(CachePath("c/l/f"))
    world.tree.prune_empty(CachePath("f"))
    assert world.tree.stat("a/b") is None
    assert world.tree.stat("c/l") is not None


# --- the way to a path ------------------------------------------------------------------------


def test_what_is_deepest_on_the_way_to_a_path_is_told(world: World) -> None:
    world.user.write("d/e/f", b"1")
    dev = stamp(world, "d/e/f").dev
    assert world.tree.above("d/e/f") == Above("d/e", Kind.DIRECTORY, dev)
    assert world.tree.above("d/e/x/y") == Above("d/e", Kind.DIRECTORY, dev)
    assert world.tree.above("x/y") == Above("", Kind.DIRECTORY, dev)
    assert world.tree.above("x") == Above("", Kind.DIRECTORY, dev)
    assert world.tree.above("d/e/f/g/h") == Above("d/e/f", Kind.FILE, dev)


def test_a_link_on_the_way_to_a_path_is_told_and_not_followed(world: World) -> None:
    world.user.write("d/f", b"1")
    world.user.special("l", Kind.SYMLINK)
    assert world.tree.above("l/f/g").path == "l"
    assert world.tree.above("l/f/g").kind is Kind.SYMLINK
