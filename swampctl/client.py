"""The connection to the daemon: calls with a deadline, and its errors as they were raised there."""

from __future__ import annotations

import uuid
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

import grpc
from google.protobuf.duration_pb2 import Duration
from google.rpc.error_details_pb2 import ErrorInfo
from google.rpc.status_pb2 import Status

from swampctl.autostart import ensure_daemon
from swampctl.skew import check_versions
from swampd import errors
from swampd.errors import DaemonUnreachable, Interrupted, SwampdError
from swampd.v1 import (
    common_pb2,
    daemon_pb2,
    daemon_pb2_grpc,
    datastore_pb2_grpc,
    lock_pb2_grpc,
    status_pb2_grpc,
    sync_pb2_grpc,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from swampctl.output import Output

MESSAGE_LIMIT_BYTES: Final = 16 * 1024 * 1024
OPTIONS: Final = (
    ("grpc.default_authority", "localhost"),
    ("grpc.max_receive_message_length", MESSAGE_LIMIT_BYTES),
    ("grpc.max_send_message_length", MESSAGE_LIMIT_BYTES),
    ("grpc.enable_http_proxy", 0),
)
SHORT_S: Final = 10.0
"""For calls that look at the daemon only."""
STORE_S: Final = 120.0
"""For calls that ask the store a few things."""
LONG_S: Final = 24 * 3600.0
"""For transfers."""
_DETAILS_KEY: Final = "grpc-status-details-bin"


class Client:
    """One open channel, to a daemon whose version fits."""

    def __init__(self, channel: grpc.Channel, info: daemon_pb2.GetInfoResponse) -> None:
        self.info = info
        self.locks = lock_pb2_grpc.LockServiceStub(channel)
        self.sync = sync_pb2_grpc.SyncServiceStub(channel)
        self.status = status_pb2_grpc.StatusServiceStub(channel)
        self.datastore = datastore_pb2_grpc.DatastoreServiceStub(channel)
        self.daemon = daemon_pb2_grpc.DaemonServiceStub(channel)


@contextmanager
def connected(
    environ: Mapping[str, str], output: Output, *, any_version: bool = False
) -> Iterator[Client]:
    """A client of the daemon, which is started if none answers.

    Inside the block errors of calls are raised as the daemon raised them.  Raises
    DaemonUnreachable, VersionSkew.
    """
    with connected_to(ensure_daemon(environ)) as client:
        if not any_version:
            check_versions(client.info.version, output)
        yield client


@contextmanager
def connected_to(path: Path) -> Iterator[Client]:
    """A client of the daemon on this socket, whatever its version."""
    with grpc.insecure_channel(f"unix:{path}", options=OPTIONS) as channel, calling():
        stub = daemon_pb2_grpc.DaemonServiceStub(channel)
        try:
            info = stub.GetInfo(daemon_pb2.GetInfoRequest(), timeout=SHORT_S)
        except grpc.RpcError as error:
            raise _unreachable(error, str(path)) from error
        yield Client(channel, info)


@contextmanager
def calling() -> Iterator[None]:
    """Errors of calls come out as the daemon raised them, an interrupt as Interrupted."""
    try:
        yield
    except grpc.RpcError as error:
        raise rebuilt(error) from error
    except KeyboardInterrupt as error:
        raise Interrupted("interrupted", "what was under way was cancelled") from error


def rebuilt(error: grpc.RpcError) -> SwampdError:
    """The error of the tree that a failed call carries."""
    call = _call(error)
    code = call.code() if call is not None else grpc.StatusCode.UNKNOWN
    info = _info(error)
    if info is not None:
        fields = dict(info.metadata)
        hint = fields.pop("hint", "")
        fields.pop("exit_code", None)
        return error_of(info.reason.lower(), str(_details(error)), hint, fields)
    if code is grpc.StatusCode.UNAVAILABLE:
        return DaemonUnreachable(
            "the connection to the daemon broke while it was at work",
            "run the command again: repeating it is safe",
        )
    if code is grpc.StatusCode.DEADLINE_EXCEEDED:
        return DaemonUnreachable("the daemon did not answer in time", "see `swampctl status`")
    if code is grpc.StatusCode.UNIMPLEMENTED:
        return errors.VersionSkew(
            "the running daemon does not know this request",
            "it is older than swampctl: run `swampctl daemon stop`, then the command again",
        )
    return SwampdError(f"the call failed: {code.name} {_details(error)}", "see the daemon's log")


def error_of(code: str, summary: str, hint: str, fields: Mapping[str, str]) -> SwampdError:
    """An error of the tree by its code; one that this version does not know is `internal`."""
    known = _by_code(SwampdError)
    return known.get(code, SwampdError)(summary, hint, **fields)


def _by_code(kind: type[SwampdError]) -> dict[str, type[SwampdError]]:
    found: dict[str, type[SwampdError]] = {}
    for below in kind.__subclasses__():
        found.setdefault(below.code, below)
        found.update(_by_code(below))
    return found


def _info(error: grpc.RpcError) -> ErrorInfo | None:
    call = _call(error)
    for key, value in (call.trailing_metadata() or ()) if call is not None else ():
        if key == _DETAILS_KEY and isinstance(value, bytes):
            for detail in Status.FromString(value).details:
                info = ErrorInfo()
                if detail.Unpack(info):
                    return info
    return None


def _details(error: grpc.RpcError) -> str:
    call = _call(error)
    return str(call.details() or "") if call is not None else str(error)


def _call(error: grpc.RpcError) -> Any:
    """The failed call that a RpcError is too (which its type does not say)."""
    return error if hasattr(error, "trailing_metadata") else None


def _unreachable(error: grpc.RpcError, path: str) -> DaemonUnreachable:
    return DaemonUnreachable(
        f"the daemon on {path} does not answer: {_details(error)}",
        "see its log; if it hangs, end it and run the command again",
        path=path,
    )


# --- parts of requests ------------------------------------------------------------------------


def choice(
    repo: Path,
    environ: Mapping[str, str],
    option: str | None,
    environment: common_pb2.CloudEnvironment,
) -> common_pb2.WorkspaceChoice:
    """Which workspace is meant."""
    return common_pb2.WorkspaceChoice(
        repo=str(repo),
        datastore_variable=environ.get("SWAMP_DATASTORE", ""),
        datastore_option=option or "",
        environment=environment,
    )


def duration(seconds: float) -> Duration:
    """Seconds as a Duration."""
    found = Duration()
    found.FromNanoseconds(round(seconds * 1e9))
    return found


def as_seconds(message: Duration) -> float:
    """A Duration as seconds."""
    return message.ToNanoseconds() / 1e9


def request_id() -> str:
    """The id of one request."""
    return uuid.uuid4().hex
