"""The daemon as a process: one at a time, started when needed, gone without a trace."""

from __future__ import annotations

import json
import os
import signal
import socket
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import (
    ProtoReflectionDescriptorDatabase,
)

from swampd import __version__
from swampd.locations import STARTED_BY
from tests.e2e.machines import BIN, alive, finished, until

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.e2e.conftest import Pair
    from tests.e2e.machines import Machine


def test_version(alone: Machine) -> None:
    assert alone.ok("--version").out == f"swampctl {__version__}\n"
    assert alone.ok("--version", "--json").json["version"] == __version__


def test_start_status_stop(alone: Machine) -> None:
    assert alone.run("daemon", "status").code == 4
    started = alone.ok("daemon", "start", "--json").json
    assert started["started"] is True
    assert alone.ok("daemon", "start", "--json").json["started"] is False
    assert alone.ok("daemon", "status", "--json").json["pid"] == started["pid"]
    assert alone.ok("daemon", "socket").out.strip() == started["socket"]
    assert alone.ok("daemon", "stop", "--json").json["pid"] == started["pid"]
    assert not alive(started["pid"])
    assert not Path(started["socket"]).exists()
    assert alone.ok("daemon", "stop", "--json").json["stopped"] is False


def test_nobody_else_can_reach_the_socket(alone: Machine) -> None:
    path = Path(alone.ok("daemon", "start", "--json").json["socket"])
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert stat.S_IMODE(alone.state.stat().st_mode) == 0o700


def test_a_runtime_directory_that_is_open_to_others_is_refused(alone: Machine) -> None:
    folder = alone.runtime / "swampd"
    folder.mkdir(mode=0o755)
    folder.chmod(0o755)
    refused = alone.run("daemon", "start")
    assert refused.code == 4
    assert "is open to others" in refused.err


def test_autostart_can_be_turned_off(pair: Pair) -> None:
    a, _, _ = pair
    a.ok("daemon", "stop")
    refused = a.run("status", SWAMPD_AUTOSTART="0", NO_COLOR="1")
    assert refused.code == 4
    assert refused.err.startswith("error: no daemon answers on ")
    assert "\nhint: " in refused.err


def test_a_daemon_knows_for_whom_its_secrets_are(alone: Machine) -> None:
    def given() -> dict[str, str]:
        raw = Path(f"/proc/{alone.daemon_pid}/environ").read_bytes().decode()
        return dict(line.split("=", 1) for line in raw.split("\0") if "=" in line)

    alone.ok("status", AWS_PROFILE="team", AWS_ACCESS_KEY_ID="planted")
    assert "planted" in given().values()
    assert given()[STARTED_BY].startswith(f"process {os.getpid()}/")
    assert "AWS_PROFILE" not in given()
    alone.ok("daemon", "stop")
    alone.ok("daemon", "start", AWS_PROFILE="team", AWS_ACCESS_KEY_ID="planted")
    assert {"team", "planted"} <= set(given().values())
    assert STARTED_BY not in given()


def test_many_clients_at_once_start_one_daemon(pair: Pair) -> None:
    a, _, _ = pair
    a.ok("daemon", "stop")
    with ThreadPoolExecutor(6) as pool:
        results = list(pool.map(lambda _: a.run("status", "--json"), range(6)))
    assert {result.code for result in results} == {0}
    assert len({result.json["pid"] for result in results}) == 1


def test_no_daemon_is_started_under_sudo(pair: Pair) -> None:
    a, _, _ = pair
    a.ok("daemon", "stop")
    refused = a.run("status", SUDO_USER="somebody")
    assert refused.code == 4
    assert "under sudo none is started" in refused.err


def test_a_second_daemon_is_refused_naming_the_first(alone: Machine) -> None:
    pid = alone.ok("daemon", "start", "--json").json["pid"]
    second = finished(alone.spawn([str(BIN / "swampd")]))
    assert second.code == 1
    assert f"pid {pid}" in second.err
    assert alone.daemon_pid == pid


def test_a_daemon_that_would_take_another_ones_socket_is_refused(
    machine: Callable[[str], Machine],
) -> None:
    a, b = machine("a"), machine("b")
    path = a.ok("daemon", "start", "--json").json["socket"]
    second = finished(b.spawn([str(BIN / "swampd")], SWAMPD_SOCKET=path))
    assert second.code == 1
    assert "another daemon answers" in second.err
    assert a.run("daemon", "status").code == 0


def test_a_stale_socket_is_no_hindrance(alone: Machine) -> None:
    alone.ok("daemon", "start")
    inode = (alone.state / "swampd.lock").stat().st_ino
    alone.kill()
    path = Path(alone.lock_file()["socket"])
    assert path.is_socket()
    assert alone.run("daemon", "status").code == 4
    alone.ok("daemon", "start")
    assert alone.run("daemon", "status").code == 0
    assert (alone.state / "swampd.lock").stat().st_ino == inode


def test_a_socket_path_that_is_too_long_is_refused(alone: Machine) -> None:
    refused = alone.run("daemon", "start", SWAMPD_SOCKET="/tmp/" + "x" * 120)
    assert refused.code == 10
    assert "bytes; the kernel allows" in refused.err


def test_one_cache_is_served_by_one_daemon(pair: Pair) -> None:
    a, b, _ = pair
    a.ok("status")
    refused = b.run("status", SWAMP_HOME=a.environ["SWAMP_HOME"], SWAMPD_AUTOSTART="1")
    assert refused.code == 10
    assert f"served by another daemon: pid {a.daemon_pid}" in refused.err


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_clean_end_frees_the_leases(pair: Pair, number: signal.Signals) -> None:
    a, b, _ = pair
    assert a.shell("swampctl lock acquire data/x").code == 0
    pid = a.daemon_pid
    a.signal(number)
    until(lambda: not alive(pid), "it ended", 5.0)
    b.ok("lock", "acquire", "data/x", "--no-wait")


def test_a_hold_outlives_a_daemon_that_was_killed(pair: Pair) -> None:
    a, b, _ = pair
    token = a.shell("swampctl lock acquire data/x").out.strip()
    before = a.ok("lock", "show", "data/x", "--json").json["lock"]
    a.kill()
    a.write("data/x/f", "after the crash")
    a.ok("push", "data/x", "--token", token)
    after = a.ok("lock", "show", "data/x", "--json").json["lock"]
    assert after["epoch"] == before["epoch"]
    a.ok("lock", "release", "--token", token)
    b.ok("pull")
    assert (b.cache / "data/x/f").read_text() == "after the crash"


def test_a_copied_state_directory_keeps_no_lock_and_gets_another_id(pair: Pair) -> None:
    a, _, _ = pair
    token = a.shell("swampctl lock acquire data/x").out.strip()
    daemon = a.ok("daemon", "status", "--json").json["daemon_id"]
    a.kill()
    lock = a.state / "swampd.lock"
    lock.rename(lock.with_name("old"))  # as a copy of the directory has another inode
    lock.write_bytes(lock.with_name("old").read_bytes())
    assert a.run("push", "data/x", "--token", token).code == 1
    assert a.ok("daemon", "status", "--json").json["daemon_id"] != daemon


def test_the_log_is_json_without_secrets(pair: Pair) -> None:
    a, _, _ = pair
    token = a.shell("swampctl lock acquire data/x").out.strip()
    a.ok("daemon", "stop")
    events = [json.loads(line) for line in a.log().splitlines()]
    assert {"daemon_started", "workspace_opened", "daemon_ended"} <= {e["event"] for e in events}
    assert token not in a.log()


def test_health_and_reflection_are_on(alone: Machine) -> None:
    path = alone.ok("daemon", "start", "--json").json["socket"]
    options = (("grpc.default_authority", "localhost"),)
    with grpc.insecure_channel(f"unix:{path}", options=options) as channel:
        health = health_pb2_grpc.HealthStub(channel)
        for name in ("", "swampd.v1.LockService"):
            answer = health.Check(  # type: ignore[attr-defined]  # the stubs name only the async one
                health_pb2.HealthCheckRequest(service=name), timeout=10
            )
            assert answer.status == health_pb2.HealthCheckResponse.SERVING
        services = set(ProtoReflectionDescriptorDatabase(channel).get_services())
    assert {"swampd.v1.DaemonService", "swampd.v1.SyncService"} <= services


def test_a_client_without_a_runtime_directory_finds_the_daemon(alone: Machine) -> None:
    pid = alone.daemon_pid if alone.run("daemon", "start").code == 0 else 0
    without = {**alone.environ}
    del without["XDG_RUNTIME_DIR"]
    found = finished(alone.spawn(["env", "-u", "XDG_RUNTIME_DIR", "swampctl", "daemon", "status"]))
    assert found.code == 0
    assert f"pid {pid}" in found.out


def test_something_else_on_the_socket_path_is_left_alone(alone: Machine) -> None:
    (alone.runtime / "swampd").mkdir(mode=0o700)
    path = alone.runtime / "swampd" / "swampd.sock"
    path.write_text("mine")
    refused = alone.run("daemon", "start")
    assert refused.code == 4
    assert "is not a socket" in refused.err
    assert path.read_text() == "mine"


def test_a_daemon_that_hangs_is_told_from_none(alone: Machine) -> None:
    alone.ok("daemon", "start")
    pid = alone.lock_file()["pid"]
    os.kill(pid, signal.SIGSTOP)
    try:
        hung = alone.run("daemon", "status", limit_s=30)
    finally:
        os.kill(pid, signal.SIGCONT)
    assert hung.code == 4
    assert "does not answer" in hung.err
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.connect(alone.lock_file()["socket"])
