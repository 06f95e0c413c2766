"""Proto to domain and back."""

from __future__ import annotations

from datetime import timedelta

import pytest

from swampd.domain.datastores import CloudEnvironment, S3Settings
from swampd.domain.states import ConflictKind, PathState
from swampd.domain.values import CachePath, Scope, Seq
from swampd.errors import BadRequest, LockBusy
from swampd.opening import Choice
from swampd.rpc.convert import requests, sync, words
from swampd.rpc.faults import DOMAIN, error_info, named, status_of
from swampd.syncing.conflicts import Side
from swampd.syncing.local_ledger import Conflict
from swampd.syncing.pulling import Pulled
from swampd.syncing.pushing import Pushed, PushKind
from swampd.v1 import common_pb2, datastore_pb2, lock_pb2, sync_pb2
from swampd.workspace import Outcome

DATA = Scope("data")


def a_caller(**fields: object) -> common_pb2.Caller:
    return common_pb2.Caller(boot_id="boot", pid_namespace="pid:[1]", pid=9, **fields)  # type: ignore[arg-type]


def a_process(pid: int, start: int) -> common_pb2.Process:
    return common_pb2.Process(pid=pid, start_ticks=start)


# --- owners ------------------------------------------------------------------------------------


def test_a_session_goes_before_the_parent() -> None:
    owner = requests.owner(
        a_caller(session_leader=a_process(5, 50), parent=a_process(6, 60)), "fresh"
    )
    assert owner.shared
    assert owner.key == "session 5/50/boot/pid:[1]"
    assert owner.label == "session 5"


def test_without_a_terminal_it_is_the_parent() -> None:
    owner = requests.owner(a_caller(parent=a_process(6, 60)), "fresh")
    assert (owner.key, owner.shared) == ("process 6/60/boot/pid:[1]", True)


@pytest.mark.parametrize(
    "caller",
    [
        a_caller(),
        a_caller(session_leader=a_process(0, 0), parent=a_process(6, 60)),
        a_caller(session_leader=a_process(5, 0), parent=a_process(6, 60)),
        common_pb2.Caller(parent=a_process(6, 60)),
    ],
    ids=["nothing known", "session 0", "dead leader", "no boot id"],
)
def test_who_cannot_be_told_from_others_needs_the_token(caller: common_pb2.Caller) -> None:
    owner = requests.owner(caller, "fresh")
    assert (owner.key, owner.shared) == ("token fresh", False)


@pytest.mark.parametrize("other", ["pid", "start", "boot", "namespace"])
def test_owners_differ_in_every_fact(other: str) -> None:
    one = a_caller(parent=a_process(6, 60))
    two = a_caller(parent=a_process(6, 60))
    match other:
        case "pid":
            two.parent.pid = 7
        case "start":
            two.parent.start_ticks = 61
        case "boot":
            two.boot_id = "another"
        case _:
            two.pid_namespace = "pid:[2]"
    assert requests.owner(one, "x").key != requests.owner(two, "x").key


# --- requests ----------------------------------------------------------------------------------


def test_a_choice() -> None:
    message = common_pb2.WorkspaceChoice(repo="/r", datastore_variable="v", datastore_option="o")
    assert requests.choice(message) == Choice("/r", "v", "o")


def test_who_asks_is_part_of_a_choice() -> None:
    said = common_pb2.CloudEnvironment(
        profile="p",
        region="r",
        config_file="/c",
        shared_credentials_file="/s",
        google_credentials="/g",
        holds_secrets=True,
        session="session 1",
    )
    environment = CloudEnvironment("p", "r", "/c", "/s", "/g", holds_secrets=True)
    message = common_pb2.WorkspaceChoice(repo="/r", environment=said)
    assert requests.choice(message) == Choice("/r", "", "", environment, "session 1")
    setup = datastore_pb2.SetupRequest(repo="/r", environment=said)
    assert requests.set_up_choice(setup) == Choice("/r", "", "", environment, "session 1")
    assert requests.set_up_choice(datastore_pb2.SetupRequest(repo="/r")) == Choice("/r")


def test_a_store_to_set_up() -> None:
    request = datastore_pb2.SetupRequest()
    assert requests.named_store(request) is None
    request.directory.path = "/store"
    assert requests.named_store(request) == "/store"
    request.s3.bucket = "team-store"
    assert requests.named_store(request) == S3Settings("team-store")
    request.s3.CopyFrom(
        datastore_pb2.S3Store(
            bucket="b", prefix="p", region="r", endpoint="e", force_path_style=False
        )
    )
    assert requests.named_store(request) == S3Settings("b", "p", "r", "e", force_path_style=False)


def test_what_ends_a_hold() -> None:
    terminal = a_caller(session_leader=a_process(5, 50))
    assert requests.life(lock_pb2.AcquireRequest(caller=a_caller()), "s") == {"kind": "release"}
    session = requests.life(lock_pb2.AcquireRequest(caller=terminal), "s")
    assert (session["kind"], session["pid"]) == ("session", 5)
    with_pid = lock_pb2.AcquireRequest(caller=terminal, process=a_process(8, 80))
    assert requests.life(with_pid, "s")["pid"] == 8
    bound = lock_pb2.AcquireRequest(caller=terminal, bound_to_stream=True)
    assert requests.life(bound, "s") == {"kind": "stream", "stream": "s"}


def test_waiting_has_a_default_and_may_be_zero() -> None:
    assert requests.wait_s(sync_pb2.PushRequest()) == 60.0
    assert requests.wait_s(sync_pb2.PushRequest(wait=words.duration(0))) == 0.0
    with pytest.raises(BadRequest, match="negative"):
        requests.wait_s(sync_pb2.PushRequest(wait=words.duration(-1)))


@pytest.mark.parametrize("seconds", [1.999, 120.001])
def test_a_ttl_out_of_bounds_is_refused(seconds: float) -> None:
    request = lock_pb2.AcquireRequest(ttl=words.duration(seconds))
    with pytest.raises(BadRequest, match="ttl"):
        requests.ttl_ms(request, timedelta(seconds=30))


def test_a_ttl_that_was_not_named_is_the_configured_one() -> None:
    assert requests.ttl_ms(lock_pb2.AcquireRequest(), timedelta(seconds=30)) == 30_000


def test_sides() -> None:
    assert requests.side(sync_pb2.SIDE_THEIRS) is Side.THEIRS
    with pytest.raises(BadRequest):
        requests.side(sync_pb2.SIDE_UNSPECIFIED)


# --- answers -----------------------------------------------------------------------------------


def test_times() -> None:
    assert words.duration(1.5).ToMilliseconds() == 1500
    assert words.timestamp(1_500).ToMilliseconds() == 1500
    stamp = words.iso("1970-01-01T00:00:01.500+00:00")
    assert stamp is not None
    assert stamp.ToMilliseconds() == 1500
    assert words.iso("yesterday") is None


def test_a_push_of_several_scopes() -> None:
    pushed = Pushed(PushKind.COMMITTED, Seq(4), sent=2, deleted=1, mirror_pending=3)
    pushed.conflicts = [CachePath("data/c")]
    pushed.held = {CachePath("data/b"): PathState.BUSY}
    outcome = Outcome({DATA: pushed}, {Scope("logs"): LockBusy("held", "wait", scope="logs")})
    result = sync.push_result(outcome)
    (done,) = result.done
    assert (done.scope, done.committed, done.seq, done.sent, done.deleted) == (
        "data",
        True,
        4,
        2,
        1,
    )
    assert [(p.path, p.state) for p in done.problems] == [
        ("data/c", "conflict"),
        ("data/b", "busy"),
    ]
    assert all(problem.way_out for problem in done.problems)
    (failed,) = result.failed
    assert (failed.scope, failed.code, failed.exit_code) == ("logs", "lock_busy", 11)
    assert dict(failed.fields) == {"scope": "logs"}


def test_long_lists_are_cut_with_a_count() -> None:
    pulled = Pulled(failed={CachePath(f"data/f{n}"): "gone" for n in range(1500)})
    found = sync.pulled_scope(DATA, pulled)
    assert (len(found.problems), found.left_out) == (1000, 500)


def test_a_conflict() -> None:
    found = sync.conflict_info(
        Conflict(CachePath("data/f"), DATA, ConflictKind.BOTH_NEW, None, None, 1_500)
    )
    assert (found.path, found.kind, found.copy) == ("data/f", "both_new", "")
    assert found.since.ToMilliseconds() == 1500


# --- errors ------------------------------------------------------------------------------------


def test_an_error_goes_out_with_status_reason_and_exit_code() -> None:
    error = LockBusy("data is held", "wait", scope="data")
    info = error_info(error)
    assert (info.reason, info.domain) == ("LOCK_BUSY", DOMAIN)
    assert dict(info.metadata) == {"scope": "data", "exit_code": "11", "hint": "wait"}
    code, summary, details = status_of(error)
    assert (code.name, summary) == ("ABORTED", "data is held")
    assert b"LOCK_BUSY" in details


def test_what_does_not_fit_into_the_trailer_is_cut() -> None:
    error = LockBusy("x" * 9000, "y" * 9000, scope="z" * 9000)
    assert len(status_of(error)[2]) < 6000


def test_a_bug_is_named_internal() -> None:
    found = named(ValueError("oops"))
    assert found.code == "internal"
    assert "oops" in found.summary
