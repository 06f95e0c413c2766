"""From the wire: what a request means in the words of the domain."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from swampd.domain import leases
from swampd.domain.datastores import CloudEnvironment, S3Settings
from swampd.errors import BadRequest
from swampd.locking.holds import Owner
from swampd.opening import Choice
from swampd.processes import Process
from swampd.syncing.conflicts import Side
from swampd.v1 import common_pb2, sync_pb2
from swampd.workspace import Asker

if TYPE_CHECKING:
    from datetime import timedelta

    from google.protobuf.duration_pb2 import Duration

    from swampd.v1 import datastore_pb2, lock_pb2

    Waiting = (
        lock_pb2.AcquireRequest
        | sync_pb2.PushRequest
        | sync_pb2.PullRequest
        | datastore_pb2.CompactRequest
    )

DEFAULT_WAIT_S: Final = 60.0
SESSION: Final = "session"
PROCESS: Final = "process"


def choice(message: common_pb2.WorkspaceChoice) -> Choice:
    """Which repo is meant, and who asks for it."""
    said = message.environment if message.HasField("environment") else None
    return Choice(
        message.repo,
        message.datastore_variable,
        message.datastore_option,
        cloud_environment(said) if said is not None else None,
        said.session if said is not None else "",
    )


def set_up_choice(message: datastore_pb2.SetupRequest) -> Choice:
    """Which repo is to be set up, and who asks for it."""
    choosing = common_pb2.WorkspaceChoice(repo=message.repo)
    if message.HasField("environment"):
        choosing.environment.CopyFrom(message.environment)
    return choice(choosing)


def cloud_environment(message: common_pb2.CloudEnvironment) -> CloudEnvironment:
    """Who asks, to a cloud store."""
    return CloudEnvironment(
        message.profile,
        message.region,
        message.config_file,
        message.shared_credentials_file,
        message.google_credentials,
        message.holds_secrets,
    )


def named_store(message: datastore_pb2.SetupRequest) -> str | S3Settings | None:
    """The store to set up: the path of a folder, a bucket, or the one that the repo names."""
    if message.HasField("directory"):
        return message.directory.path
    if message.HasField("s3"):
        s3 = message.s3
        style = s3.force_path_style if s3.HasField("force_path_style") else None
        return S3Settings(s3.bucket, s3.prefix, s3.region, s3.endpoint, style)
    return None


def process(message: common_pb2.Process, caller: common_pb2.Caller, kind: str) -> Process:
    """A process of the caller's boot and pid namespace."""
    return Process(message.pid, message.start_ticks, caller.boot_id, caller.pid_namespace, kind)


def owner(caller: common_pb2.Caller, fresh: str) -> Owner:
    """Who may use a hold of this caller; with neither session nor parent, whoever has its token.

    `fresh` makes the key of an owner that is nobody else's.
    """
    place = f"{caller.boot_id}/{caller.pid_namespace}"
    label = f"pid {caller.pid}" if caller.pid else "a client"
    for kind, message, there in (
        (SESSION, caller.session_leader, caller.HasField("session_leader")),
        (PROCESS, caller.parent, caller.HasField("parent")),
    ):
        if not there:
            continue
        if message.pid > 0 and message.start_ticks and caller.boot_id:
            key = f"{kind} {message.pid}/{message.start_ticks}/{place}"
            return Owner(key, label=f"{kind} {message.pid}")
        break
    return Owner(f"token {fresh}", shared=False, label=label)


def life(request: lock_pb2.AcquireRequest, stream: str) -> dict[str, Any]:
    """What a hold's life hangs on, besides its release."""
    caller = request.caller
    found: Process | None = None
    if request.bound_to_stream:
        return {"kind": "stream", "stream": stream}
    if request.HasField("process"):
        found = process(request.process, caller, PROCESS)
    elif caller.HasField("session_leader") and caller.session_leader.start_ticks:
        found = process(caller.session_leader, caller, SESSION)
    return found.row() if found is not None else {"kind": "release"}


def seconds(message: Duration) -> float:
    """A length of time; raises BadRequest for a negative one."""
    found = message.seconds + message.nanos / 1e9
    if found < 0:
        raise BadRequest("a duration is negative", "give one of zero or more")
    return found


def wait_s(request: Waiting) -> float:
    """How long the request waits for locks."""
    return seconds(request.wait) if request.HasField("wait") else DEFAULT_WAIT_S


def ttl_ms(request: lock_pb2.AcquireRequest, default: timedelta) -> int:
    """The lock's ttl, within what a store's horizon allows."""
    found = seconds(request.ttl) if request.HasField("ttl") else default.total_seconds()
    ttl = round(found * 1000)
    if not leases.LEAST_TTL_MS <= ttl <= leases.MOST_TTL_MS:
        raise BadRequest(f"the ttl of {found:g} s is not allowed", "give one from 2s to 120s")
    return ttl


def side(value: sync_pb2.Side.ValueType) -> Side:
    """What a person chose."""
    chosen = {
        sync_pb2.SIDE_OURS: Side.OURS,
        sync_pb2.SIDE_THEIRS: Side.THEIRS,
        sync_pb2.SIDE_BOTH: Side.BOTH,
    }.get(value)
    if chosen is None:
        raise BadRequest("no side was chosen", "use --ours, --theirs or --both")
    return chosen


def token_only(asker: Asker, stream: str) -> Asker:
    """The asker of a hold that is bound to a stream: usable by its token only."""
    owner = Owner(f"stream {stream}", shared=False, label=asker.owner.label)
    return Asker(owner, None, asker.wait_s)
