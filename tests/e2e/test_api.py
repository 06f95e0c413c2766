"""The API as a third party uses it: stubs, errors with details, requests that are repeated."""

from __future__ import annotations

import threading
import uuid
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

import grpc
import pytest
from google.rpc.error_details_pb2 import ErrorInfo
from grpc_status import rpc_status

from swampctl.client import duration
from swampctl.owner import caller
from swampd.v1 import (
    common_pb2,
    daemon_pb2,
    daemon_pb2_grpc,
    lock_pb2,
    lock_pb2_grpc,
    sync_pb2,
    sync_pb2_grpc,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.e2e.conftest import Pair
    from tests.e2e.machines import Machine

SCOPE = "data/x"


@contextmanager
def channel_to(machine: Machine) -> Iterator[grpc.Channel]:
    path = machine.ok("daemon", "start", "--json").json["socket"]
    options = (("grpc.default_authority", "localhost"),)
    with grpc.insecure_channel(f"unix:{path}", options=options) as channel:
        yield channel


def workspace(machine: Machine) -> common_pb2.WorkspaceChoice:
    return common_pb2.WorkspaceChoice(repo=str(machine.repo))


def acquire(machine: Machine, request_id: str, **fields: Any) -> lock_pb2.AcquireRequest:
    return lock_pb2.AcquireRequest(
        request_id=request_id,
        workspace=workspace(machine),
        caller=caller({}),
        scopes=[SCOPE],
        **fields,
    )


def granted(channel: grpc.Channel, request: lock_pb2.AcquireRequest) -> lock_pb2.HoldGranted:
    events = list(lock_pb2_grpc.LockServiceStub(channel).Acquire(request, timeout=30))
    return events[-1].held


def test_a_repeated_acquire_gets_the_same_hold_also_across_a_crash(pair: Pair) -> None:
    a, _, _ = pair
    request = acquire(a, uuid.uuid4().hex)
    with channel_to(a) as channel:
        first = granted(channel, request)
        assert granted(channel, request).token == first.token
    a.kill()
    with channel_to(a) as channel:
        assert granted(channel, request).token == first.token


def test_a_repeated_release_gets_the_same_answer_also_across_a_crash(pair: Pair) -> None:
    a, _, _ = pair
    with channel_to(a) as channel:
        token = granted(channel, acquire(a, uuid.uuid4().hex)).token
        request = lock_pb2.ReleaseRequest(
            request_id=uuid.uuid4().hex, workspace=workspace(a), caller=caller({}, token)
        )
        stub = lock_pb2_grpc.LockServiceStub(channel)
        assert stub.Release(request, timeout=30).scopes == [SCOPE]
        assert stub.Release(request, timeout=30).scopes == [SCOPE]
    a.kill()
    with channel_to(a) as channel:
        answer = lock_pb2_grpc.LockServiceStub(channel).Release(request, timeout=30)
        assert answer.scopes == [SCOPE]


def test_a_repeated_push_is_answered_and_not_done_again(pair: Pair) -> None:
    a, _, _ = pair
    a.write(f"{SCOPE}/f", "1")
    request = sync_pb2.PushRequest(
        request_id=uuid.uuid4().hex, workspace=workspace(a), caller=caller({}), scopes=[SCOPE]
    )
    with channel_to(a) as channel:
        stub = sync_pb2_grpc.SyncServiceStub(channel)
        first = list(stub.Push(request, timeout=30))[-1].result
        a.write(f"{SCOPE}/f", "2")
        again = list(stub.Push(request, timeout=30))[-1].result
    assert first == again
    assert first.done[0].committed


def test_an_error_carries_code_exit_code_and_fields(pair: Pair) -> None:
    a, _, _ = pair
    with channel_to(a) as channel:
        request = acquire(a, "", wait=duration(0.0))
        granted(channel, request)
        other = acquire(a, "", wait=duration(0.0))
        other.caller.parent.pid += 1
        with pytest.raises(grpc.RpcError) as caught:
            granted(channel, other)
    error: Any = caught.value
    assert error.code() is grpc.StatusCode.ABORTED
    status = rpc_status.from_call(error)
    assert status is not None
    info = ErrorInfo()
    assert status.details[0].Unpack(info)
    assert (info.reason, info.domain) == ("LOCK_BUSY", "swampd")
    assert info.metadata["exit_code"] == "11"
    assert info.metadata["scope"] == SCOPE
    assert info.metadata["hint"]


def test_a_loss_reaches_a_watcher_once(pair: Pair) -> None:
    a, _, _ = pair
    heard: list[lock_pb2.WatchResponse] = []
    with channel_to(a) as channel:
        stub = lock_pb2_grpc.LockServiceStub(channel)
        granted(channel, acquire(a, "", ttl=duration(3.0)))
        watching = stub.Watch(lock_pb2.WatchRequest(workspace=workspace(a)), timeout=30)
        came = threading.Event()

        def listen() -> None:
            with suppress(grpc.RpcError):  # it ends when it is cancelled
                for event in watching:
                    heard.append(event)
                    came.set()

        listener = threading.Thread(target=listen)
        listener.start()
        epoch = a.ok("lock", "show", SCOPE, "--json").json["lock"]["epoch"]
        a.ok("lock", "break", SCOPE, "--epoch", str(epoch))
        assert came.wait(20)
        a.ok("status")
        watching.cancel()
        listener.join(20)
    assert [(list(event.lost.scopes), event.lost.reason) for event in heard] == [
        ([SCOPE], "broken")
    ]


def test_a_bound_hold_tells_new_deadlines_and_ends_with_its_stream(pair: Pair) -> None:
    a, _, _ = pair
    with channel_to(a) as channel:
        stub = lock_pb2_grpc.LockServiceStub(channel)
        call = stub.Acquire(acquire(a, "", ttl=duration(2.0), bound_to_stream=True), timeout=30)
        kinds: list[str | None] = []
        for event in call:
            kinds.append(event.WhichOneof("event"))
            if kinds[-1] == "renewed":
                break
        assert kinds == ["queued", "held", "renewed"]
        call.cancel()
        other = acquire(a, "", wait=duration(20.0))
        assert granted(channel, other).token


def test_the_log_level_can_be_changed(alone: Machine) -> None:
    with channel_to(alone) as channel:
        stub = daemon_pb2_grpc.DaemonServiceStub(channel)
        request = daemon_pb2.SetLogLevelRequest(level=daemon_pb2.LOG_LEVEL_DEBUG)
        assert stub.SetLogLevel(request, timeout=10).previous == daemon_pb2.LOG_LEVEL_INFO
        assert stub.SetLogLevel(request, timeout=10).previous == daemon_pb2.LOG_LEVEL_DEBUG
        with pytest.raises(grpc.RpcError):
            stub.SetLogLevel(daemon_pb2.SetLogLevelRequest(), timeout=10)
