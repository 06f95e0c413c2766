"""L1, L2, L6 to L9, L13 and *in doubt*, over the lock records and over who holds what."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

from swampd.domain import leases, scopes
from swampd.domain.leases import LockRecord, LockState
from swampd.domain.levels import Want, exclude
from swampd.domain.metadata import read_mark
from tests.sim.checks.violations import fail

if TYPE_CHECKING:
    from swampd.domain.values import Epoch, Nonce, Scope
    from tests.sim.checks.log import Log, Plain
    from tests.sim.store import Mutation
    from tests.sim.users import History
    from tests.sim.world import Node, World

SLACK_S = 0.001
ALMOST = 0.98
"""Clock rates differ by less than this leaves."""


def check_holders(world: World) -> None:
    """L6: no two machines are `valid()` on one scope, or on a gate and something below it."""
    valid = [
        (node.name, Want(lease.scope, lease.record.covers is scopes.Covers.TREE), lease)
        for node in world.nodes
        if node.life is not None
        for lease in node.life.workspace.keeper.held
        if lease.valid()
    ]
    for i, (name, want, one) in enumerate(valid):
        for other_name, other, two in valid[i + 1 :]:
            if name != other_name and exclude(want, other):
                fail("L6", f"{name} {want} e{one.epoch} and {other_name} {other} e{two.epoch}")


def check_deadlines(world: World, log: Log) -> None:
    """L7: a deadline counts from the first sending of a write that landed.  S6: nobody relies on
    one that the journal has not."""
    for node in world.nodes:
        for lease in node.life.workspace.keeper.held if node.life is not None else ():
            if log.journalled.get(lease.nonce) == lease.deadline or not lease.alive():
                continue
            log.journalled[lease.nonce] = lease.deadline
            what = f"{node.name}: e{lease.epoch} of {lease.scope} is relied on until"
            if lease.deadline > log.until.get(lease.nonce, float("-inf")) + SLACK_S:
                fail("L7", f"{what} {lease.deadline:.3f}, longer than its record says")
            if lease.deadline > _journalled(node, lease.nonce) + SLACK_S:
                fail("S6", f"{what} {lease.deadline:.3f}, which is not in the journal")


def _journalled(node: Node, nonce: Nonce) -> float:
    """The deadline of an acquisition, as this machine would know it after a crash."""
    found = node.disk.connection.read(
        lambda tx: list(tx.execute("SELECT deadline FROM lock_nonce WHERE nonce = ?", (nonce,)))
    )
    return next((at for (at,) in found if at is not None), float("-inf"))


def check_left_holds(history: History) -> None:
    """L6: what a user held when the daemon died is nobody else's on that machine before its
    deadline, unless the hold was recovered, or broken, or the machine went down too."""
    for grant in tuple(history.bereft):
        node = grant.life.node
        now = grant.life.clock.now()
        if node.boot_id != grant.life.identity.boot_id or now >= grant.hold.deadline:
            history.bereft.remove(grant)
            continue
        if node.life is None:
            continue
        if grant.hold.token in {hold.token for hold in node.life.workspace.holds}:
            history.bereft.remove(grant)  # recovered: the new daemon speaks for it
            continue
        for lease in node.life.workspace.keeper.held:
            want = Want(lease.scope, lease.record.covers is scopes.Covers.TREE)
            taken = any(exclude(want, one) for one in grant.hold.wants)
            recovered = lease.record.pid != node.life.number  # of a hold of the lives before
            if taken and lease.valid() and not recovered:
                what = f"{node.name}: {grant.hold.owner.key} held {grant.hold.scopes} when the"
                fail("L6", f"{what} daemon died, and {want} e{lease.epoch} is given away")


def check_paced(world: World) -> None:
    """L12: between two writes of one key by one daemon lies the store's least interval."""
    least = world.network.objects.capabilities.least_write_interval_s * ALMOST
    if not least:
        return
    last: dict[tuple[str, int, str], float] = {}
    for mutation in sorted(world.network.log, key=lambda mutation: mutation.sent_at):
        by = (mutation.node, mutation.life, mutation.key)
        if mutation.sent_at - last.get(by, -least) < least:
            fail("L12", f"{mutation.key}: {by[0]}.{by[1]} wrote twice within {least:.2f} s")
        last[by] = mutation.sent_at


def check_locks(world: World, log: Log) -> None:
    """Each record's history, step by step."""
    for scope, history in log.locks.items():
        _check_unique(scope, history)
        _check_renewals(world, scope, history)
        doubted: dict[Epoch, float] = {}
        for mutation, record in history:
            if record.in_doubt is not None:
                doubted.setdefault(record.in_doubt, mutation.time)
        for (_, previous), (mutation, record) in pairwise(history):
            _check_step(scope, previous, record)
            since = doubted.get(previous.epoch)
            if since is None or mutation.time - since < leases.HORIZON_S * ALMOST:
                _check_doubt(scope, previous, record)
            _check_doubt_goes(scope, previous, record, mutation, doubted)


def _check_unique(scope: Scope, history: list[tuple[Mutation, LockRecord]]) -> None:
    """L9: no bytes twice.  L2: one epoch, one nonce, and one nonce, one epoch."""
    bodies: set[bytes] = set()
    nonces: dict[Epoch, str] = {}
    epochs: dict[str, Epoch] = {}
    for mutation, record in history:
        body = mutation.body or b""
        if body in bodies:
            fail("L9", f"lock {scope}: the same bytes twice, {record}")
        bodies.add(body)
        if nonces.setdefault(record.epoch, record.nonce) != record.nonce:
            fail("L2", f"lock {scope}: epoch {record.epoch} has two nonces")
        if epochs.setdefault(record.nonce, record.epoch) != record.epoch:
            fail("L2", f"lock {scope}: nonce {record.nonce} has two epochs")


def _check_step(scope: Scope, previous: LockRecord, record: LockRecord) -> None:
    """L1: an acquisition raises the epoch.  L8: release and break keep epoch and nonce, and nobody
    is held, or broken, who was given up."""
    same = previous.nonce == record.nonce
    if record.epoch < previous.epoch or (not same and record.epoch == previous.epoch):
        fail("L1", f"lock {scope}: epoch {record.epoch} after {previous.epoch}")
    if not same and record.state is not LockState.HELD:
        fail("L8", f"lock {scope}: {record.state} of a nonce that is not there")
    if same and record.state is LockState.HELD and previous.state is not LockState.HELD:
        fail("L13", f"lock {scope}: epoch {record.epoch} is held again after {previous.state}")
    if same and record.state is LockState.BROKEN and previous.state is LockState.FREE:
        fail("L8", f"lock {scope}: epoch {record.epoch} was free and is broken")
    if same and (record.covers, record.holder) != (previous.covers, previous.holder):
        fail("L8", f"lock {scope}: epoch {record.epoch} has another holder or another level")


def _check_renewals(world: World, scope: Scope, history: list[tuple[Mutation, LockRecord]]) -> None:
    """L13: no renewal is sent when the epoch has lapsed by the sender's own clock, nor after a
    reboot, which that clock does not outlive."""
    until: dict[str, float] = {}
    for write, record in history:
        if record.state is not LockState.HELD:
            continue
        lapsed = write.sent_local >= until.get(record.nonce, float("inf")) + SLACK_S
        if record.boot_id != world.boots[write.node, write.life]:
            fail("L13", f"lock {scope}: epoch {record.epoch} was renewed after a reboot")
        if lapsed:
            fail("L13", f"lock {scope}: epoch {record.epoch} was renewed after it had lapsed")
        ends = write.sent_local + leases.lifetime_s(record.ttl_ms)
        until[record.nonce] = max(ends, until.get(record.nonce, ends))


def _check_doubt(scope: Scope, previous: LockRecord, record: LockRecord) -> None:
    """S7: a take-over and a break carry the epoch before as in doubt, unless that was said long
    ago."""
    same = previous.nonce == record.nonce
    taken = not same and previous.state is not LockState.FREE
    broken = same and record.state is LockState.BROKEN
    if (taken or broken) and (record.in_doubt is None or record.in_doubt < previous.epoch):
        fail("S7", f"lock {scope}: {record.state} of epoch {record.epoch} without in_doubt")


def _check_doubt_goes(
    scope: Scope,
    previous: LockRecord,
    record: LockRecord,
    mutation: Mutation,
    doubted: dict[Epoch, float],
) -> None:
    """S7: a doubt is carried on until it was there for a horizon."""
    doubt = previous.in_doubt
    if doubt is None or (record.in_doubt is not None and record.in_doubt >= doubt):
        return
    if mutation.time - doubted[doubt] < leases.HORIZON_S * ALMOST:
        fail("S7", f"lock {scope}: the doubt on epoch {doubt} was dropped too early")


def check_released_in_doubt(log: Log) -> None:
    """S7: who releases while a request of that epoch may still land says so: one that landed
    afterwards had no answer then."""
    for scope, history in log.locks.items():
        for (_, previous), (release, record) in pairwise(history):
            mine = previous.nonce == record.nonce and record.state is LockState.FREE
            if not mine or (record.in_doubt is not None and record.in_doubt >= record.epoch):
                continue
            for plain in log.payload:
                late = plain.mutation.sent_at <= release.sent_at and (
                    plain.mutation.time > release.time
                )
                if late and _sent_under(log, plain, record, release):
                    what = f"{plain.mutation.operation} of {plain.path} sent by"
                    what += f" {plain.mutation.node}.{plain.mutation.life}"
                    fail("S7", f"lock {scope}: e{record.epoch} freed without in_doubt, {what}")


def _sent_under(log: Log, plain: Plain, record: LockRecord, release: Mutation) -> bool:
    """Was this sent under that acquisition?  A delete says no epoch: none is taken for one."""
    mark = read_mark(plain.path, plain.mutation.metadata)
    return (
        mark is not None
        and mark.epoch == record.epoch
        and plain.mutation.node == release.node
        and _owner(log, plain) == record.scope
    )


# --- what was sent when ---------------------------------------------------------------------------


def check_sent_in_time(world: World, log: Log) -> None:
    """L7, L13: whatever changed the store was sent while its epoch's lease had time left, by the
    sender's own clock and by the lock writes that it had sent before, in that boot."""
    for scope, history in log.heads.items():
        for mutation, head in history:
            until = _held_until(world, log, scope, mutation, head.epoch)
            if mutation.sent_local >= until + SLACK_S:
                late = mutation.sent_local - until
                fail("L7", f"head {scope}: {head.kind.value} of e{head.epoch} {late:.3f} s late")
    for plain in log.payload:
        _check_plain(world, log, plain)


def _check_plain(world: World, log: Log, plain: Plain) -> None:
    """L7, S9: a plain key is changed only under the lease of the scope that speaks for it."""
    mutation, path = plain.mutation, plain.path
    what = f"{mutation.operation} of {path} by {mutation.node}.{mutation.life}"
    mark = read_mark(path, mutation.metadata)
    if mark is None and mutation.operation not in ("delete", "delete_if"):
        fail("S9", f"{what} without a mark for that path")
    epoch = mark.epoch if mark is not None else None
    owner = _owner(log, plain)
    until = _held_until(world, log, owner, mutation, epoch)
    if mutation.sent_local >= until + SLACK_S:
        fail("L7", f"{what} sent without a lease of {owner} (epoch {epoch}, until {until:.3f})")


def _owner(log: Log, plain: Plain) -> Scope:
    """The scope that spoke for a path when the request was sent."""
    top = scopes.top_of(plain.path)
    for write, head in reversed(log.heads.get(top, [])):
        if write.time <= plain.mutation.sent_at:
            return scopes.owner_of(plain.path, head.children)
    return top


def _held_until(
    world: World, log: Log, scope: Scope, mutation: Mutation, epoch: Epoch | None
) -> float:
    """The local time up to which the sender held the scope (under this epoch, if one is said), by
    what its machine had written before in the same boot; its own release ends it."""
    boot = world.boots[mutation.node, mutation.life]
    until = float("-inf")
    for write, record in log.locks.get(scope, ()):
        mine = write.node == mutation.node and record.boot_id == boot
        before = write.sent_at <= mutation.sent_at
        fits = epoch is None or record.epoch == epoch
        if not (mine and before and fits):
            continue
        if record.state is LockState.HELD:
            until = max(until, write.sent_local + leases.lifetime_s(record.ttl_ms))
        elif record.state is LockState.FREE and write.life == mutation.life:
            until = min(until, write.sent_local)
    return until
