"""What the simulator's tree adds to the port: users, faults, power cuts, the hook."""

from __future__ import annotations

import pytest

from swampd.domain.values import CachePath
from swampd.ports import FileRead, Kind, PlaceProblem, ReadProblem, Seen, Stamp, Unreadable
from tests.sim.tree import GRANULE_NS, SimTree
from tests.unit.cache.conftest import World, sim_tree


class Crash(BaseException):
    """The process dies here."""


@pytest.fixture
def sim() -> SimTree:
    return sim_tree()


@pytest.fixture
def world(sim: SimTree) -> World:
    return World(sim, sim)


def stamp(sim: SimTree, path: str) -> Stamp:
    seen = sim.stat(path)
    assert seen is not None
    assert seen.stamp is not None
    return seen.stamp


def pass_a_tick(sim: SimTree) -> None:
    """The clock of this tree moves on by 1 ms with each look at it."""
    before = sim.now_ns()
    while sim.now_ns() == before:
        pass


# --- time and inodes --------------------------------------------------------------------------


def test_two_writes_in_one_tick_have_the_same_stamp() -> None:
    now = 10 * GRANULE_NS
    sim = SimTree(lambda: now)
    sim.write("f", b"one")
    before = stamp(sim, "f")
    now += GRANULE_NS - 1
    sim.edit("f", b"two")
    assert stamp(sim, "f") == before
    assert sim.now_ns() == before.mtime_ns
    now += 1
    assert sim.now_ns() > before.mtime_ns


def test_a_freed_inode_number_comes_back(sim: SimTree) -> None:
    sim.write("f", b"one")
    before = stamp(sim, "f").ino
    sim.delete("f")
    sim.write("g", b"two")
    assert stamp(sim, "g").ino == before
    sim.link("g", "h")
    sim.delete("g")
    sim.write("i", b"three")
    assert stamp(sim, "i").ino != before


# --- users ------------------------------------------------------------------------------------


def test_a_user_renames_files_and_directories(sim: SimTree) -> None:
    sim.write("a/f", b"1")
    sim.write("g", b"2")
    sim.rename("a", "b/c")
    sim.rename("g", "b/c/f")
    sim.rename("b/c/f", "b/c/f")
    assert sim.files() == {"b/c/f": b"2"}
    with pytest.raises(IsADirectoryError):
        sim.rename("b/c/f", "b/c")
    with pytest.raises(FileNotFoundError):
        sim.rename("missing", "x")


def test_a_user_removes_a_directory_and_not_a_file_with_rmdir(sim: SimTree) -> None:
    sim.write("a/b/f", b"")
    with pytest.raises(NotADirectoryError):
        sim.rmdir("a/b/f")
    sim.rmdir("a")
    assert sim.files() == {}
    with pytest.raises(FileNotFoundError):
        sim.delete("a")


def test_an_edit_may_give_back_the_old_mtime(sim: SimTree) -> None:
    sim.write("f", b"one")
    before = stamp(sim, "f")
    pass_a_tick(sim)
    sim.edit("f", b"two", mtime_ns=before.mtime_ns)
    after = stamp(sim, "f")
    assert (after.mtime_ns, after.size, after.ino) == (before.mtime_ns, 3, before.ino)
    assert after.ctime_ns != before.ctime_ns


def test_a_backup_comes_back_with_new_inodes_and_old_mtimes(world: World, sim: SimTree) -> None:
    sim.write("a/f", b"then", x=True)
    sim.write_marker(b"old")
    then = stamp(sim, "a/f")
    backup = sim.snapshot()
    sim.edit("a/f", b"now")
    sim.write("g", b"new")
    sim.write_marker(b"new")
    world.stage("n", b"")
    sim.restore(backup)
    assert sim.files() == {"a/f": b"then"}
    assert sim.marker() == b"old"
    assert sim.stat_tmp("n") is None
    again = stamp(sim, "a/f")
    assert (again.mtime_ns, again.x, again.size) == (then.mtime_ns, True, 4)
    assert again.ino != then.ino
    sim.crash(lose=True)
    assert sim.files() == {"a/f": b"then"}


def test_a_wiped_cache_is_empty_and_works(world: World, sim: SimTree) -> None:
    sim.write("f", b"")
    sim.write_marker(b"m")
    sim.wipe()
    assert sim.marker() is None
    assert list(sim.scan("", lambda _: False)) == []
    world.stage("n", b"new")
    assert world.place("n", "f") is None
    assert sim.present()


# --- faults -----------------------------------------------------------------------------------


def test_a_full_disk(world: World, sim: SimTree) -> None:
    sim.no_space = True
    with pytest.raises(OSError, match="No space"):
        world.stage("n", b"")
    with pytest.raises(OSError, match="No space"):
        sim.write_marker(b"")
    assert sim.free_bytes() == 0
    sim.no_space = False

    def fill_up() -> None:
        with sim.write_tmp("n", x=False) as sink:
            sim.no_space = True
            sink(b"x")

    with pytest.raises(OSError, match="No space"):
        fill_up()
    assert sim.stat_tmp("n") is None


def test_an_unreadable_directory(world: World, sim: SimTree) -> None:
    sim.write("a/b/f", b"")
    sim.write("g", b"")
    world.stage("n", b"")
    sim.unreadable.add("a/b")
    found = {row.path: type(row) for row in sim.scan("", lambda _: False)}
    assert found == {"a/b": Unreadable, "g": Seen}
    with pytest.raises(PermissionError):
        sim.stat("a/b/f")
    with pytest.raises(PermissionError):
        sim.children("a/b")
    assert sim.read(CachePath("a/b/f"), keep=True) is ReadProblem.UNREADABLE
    assert world.place("n", "a/b/g") is PlaceProblem.BLOCKED
    assert sim.stat("a/b") == Seen("a/b", Kind.DIRECTORY, None)


def test_a_root_that_was_removed(world: World, sim: SimTree) -> None:
    sim.write("f", b"")
    world.stage("n", b"")
    sim.attached = False
    assert not sim.present()
    assert [type(row) for row in sim.scan("", lambda _: False)] == [Unreadable]
    assert sim.stat("f") is None
    assert sim.children("") == []


# --- the hook ---------------------------------------------------------------------------------


def test_each_primitive_operation_is_announced(world: World, sim: SimTree) -> None:
    sim.write("f", b"old")
    steps: list[str] = []
    sim.before_step = steps.append
    world.stage("n", b"new")
    world.exchange("n", "f")
    sim.tmp_to_trash("n")
    sim.sync()
    world.stage("m", b"")
    world.place("m", "a/b/g")
    sim.read(CachePath("f"), keep=False)
    assert steps == [
        "create tmp/n",
        "write tmp/n",
        "utime tmp/n",
        "exchange f",
        "rename_new trash/n",
        "sync",
        "create tmp/m",
        "write tmp/m",
        "utime tmp/m",
        "mkdir a/b",
        "rename_new a/b/g",
        "open f",
        "read f",
        "read f",
        "look f",
    ]


def test_a_user_between_the_halves_of_a_read_makes_it_busy(sim: SimTree) -> None:
    sim.write("f", b"one")
    seen: list[str] = []

    def edit(step: str) -> None:
        seen.append(step)
        if seen == ["open f", "read f", "read f"]:
            sim.edit("f", b"two")

    sim.before_step = edit
    pass_a_tick(sim)
    seen.clear()
    assert sim.read(CachePath("f"), keep=True) is ReadProblem.BUSY


def test_a_torn_read_within_one_tick_is_not_noticed_as_on_a_real_disk() -> None:
    sim = SimTree(lambda: GRANULE_NS)
    sim.write("f", b"aabb")
    seen: list[str] = []

    def edit(step: str) -> None:
        seen.append(step)
        if len(seen) == 3:
            sim.edit("f", b"ccdd")

    sim.before_step = edit
    answer = sim.read(CachePath("f"), keep=True)
    assert isinstance(answer, FileRead)
    assert answer.body == b"aadd"


def test_a_user_between_the_look_and_the_rename_keeps_his_file(world: World, sim: SimTree) -> None:
    world.stage("n", b"ours")

    def save(step: str) -> None:
        if step == "rename_new a/f":
            sim.write("a/f", b"the user's")

    sim.before_step = save
    assert world.place("n", "a/f") is PlaceProblem.OCCUPIED
    assert sim.files() == {"a/f": b"the user's"}


def test_a_directory_removed_before_the_rename_is_made_again(world: World, sim: SimTree) -> None:
    world.stage("n", b"ours")

    def remove(step: str) -> None:
        if step == "rename_new a/f":
            sim.rmdir("a")

    sim.before_step = remove
    assert world.place("n", "a/f") is None
    assert sim.files() == {"a/f": b"ours"}


def test_a_file_written_before_rmdir_keeps_its_directory(sim: SimTree) -> None:
    sim.mkdir("a/b")

    def save(step: str) -> None:
        if step == "rmdir a/b":
            sim.write("a/b/f", b"")

    sim.before_step = save
    sim.prune_empty(CachePath("a/b/g"))
    assert sim.files() == {"a/b/f": b""}


def test_what_is_removed_during_a_scan_yields_nothing(sim: SimTree) -> None:
    sim.write("f", b"")

    def remove(step: str) -> None:
        if step == "lstat f":
            sim.delete("f")

    sim.before_step = remove
    assert list(sim.scan("", lambda _: False)) == []


def test_a_death_inside_a_download_leaves_the_half_file(sim: SimTree) -> None:
    def die(step: str) -> None:
        if step == "utime tmp/n":
            raise Crash

    sim.before_step = die

    def download() -> None:
        with sim.write_tmp("n", x=False) as sink:
            sink(b"half")
            sim.finish_tmp("n", 0)

    with pytest.raises(Crash):
        download()
    sim.crash(lose=False)
    assert sim.private_files() == {".swampd/tmp/n": b"half"}


# --- power ------------------------------------------------------------------------------------


def test_a_dead_process_loses_nothing(world: World, sim: SimTree) -> None:
    world.stage("n", b"new")
    world.place("n", "f")
    sim.crash(lose=False)
    assert sim.files() == {"f": b"new"}


def test_a_power_cut_takes_back_what_was_not_synced(world: World, sim: SimTree) -> None:
    sim.write("kept", b"1")
    sim.write("deleted", b"2")
    sim.write("renamed", b"3")
    sim.write("edited", b"4")
    sim.sync()
    sim.delete("deleted")
    sim.rename("renamed", "kept")
    sim.edit("edited", b"longer")
    world.stage("n", b"new")
    world.place("n", "a/f")
    sim.crash(lose=True)
    assert sim.files() == {"kept": b"1", "deleted": b"2", "renamed": b"3", "edited": b"4"}
    assert sim.stat_tmp("n") is None


def test_a_rename_without_a_sync_may_leave_an_empty_file(world: World, sim: SimTree) -> None:
    world.stage("n", b"new")
    world.place("n", "f")
    sim.crash(lose=True, kept=sim.unsynced)
    assert sim.files() == {"f": b""}


def test_a_power_cut_undoes_an_exchange_whole_and_in_order(world: World, sim: SimTree) -> None:
    sim.write("f", b"old")
    world.stage("n", b"new")
    sim.sync()
    assert sim.unsynced == 0
    world.exchange("n", "f")
    sim.tmp_to_trash("n")
    assert sim.unsynced == 2
    after_exchange = {".swampd/tmp/n": b"old"}
    sim.crash(lose=True, kept=1)
    assert sim.private_files() == after_exchange
    assert sim.files() == {"f": b"new"}
    world.stage("m", b"newer")
    sim.sync()
    world.exchange("m", "f")
    sim.crash(lose=True)
    assert sim.files() == {"f": b"new"}
    assert sim.private_files() == {".swampd/tmp/n": b"old", ".swampd/tmp/m": b"newer"}


def test_the_marker_is_durable_and_makes_nothing_else_durable(world: World, sim: SimTree) -> None:
    world.stage("n", b"new")
    sim.sync()
    world.place("n", "f")
    sim.write_marker(b"ours")
    sim.crash(lose=True)
    assert sim.marker() == b"ours"
    assert sim.files() == {}
    assert sim.private_files() == {".swampd/tmp/n": b"new", ".swampd/cache-id": b"ours"}


def test_a_user_s_fsync_keeps_his_file(sim: SimTree) -> None:
    sim.write("f", b"safe")
    sim.fsync("f")
    sim.write("g", b"")
    sim.chmod("f", x=True)
    sim.crash(lose=True)
    assert sim.files() == {"f": b"safe"}
    assert not stamp(sim, "f").x


def test_equal_runs_are_equal() -> None:
    def run() -> list[str]:
        sim = sim_tree()
        world = World(sim, sim)
        steps: list[str] = []
        sim.before_step = steps.append
        for name in ("c", "a", "b"):
            world.stage(name, name.encode())
            world.place(name, f"{name}/f")
        steps += [row.path for row in sim.scan("", lambda _: False)]
        return steps

    assert run() == run()
