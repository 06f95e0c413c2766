"""Which rules of PROTOCOLS sections 2 to 7 a run has exercised, and how often.

`RULES` is the table: the section, the rule, and how it is recognised without a change of the
engine: by an event of its log, by a call of one of its functions (watched from here), or by what
was written to locks and heads.  What no simulated run can reach is in `OUT_OF_REACH`, with the
reason.
"""

from __future__ import annotations

import inspect
from contextlib import contextmanager
from dataclasses import dataclass
from functools import wraps
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final

from swampd import waiting
from swampd.domain import codec, levels
from swampd.domain.codec import DecodedHead
from swampd.domain.entries import Entry, Tombstone
from swampd.domain.heads import HeadKind
from swampd.domain.leases import LockState
from swampd.domain.outcomes import Applied
from swampd.domain.planning import Step
from swampd.domain.scopes import Covers
from swampd.domain.states import ConflictKind, Halt, PathState
from swampd.errors import Halted, LockLost, OutcomeUnknown, PushFailed
from swampd.indexing import ledger as heads_ledger
from swampd.indexing import manifests, reading, writing
from swampd.locking import cas, keeper, lease, queue, recovery, taking
from swampd.locking.cas import Landed
from swampd.syncing import (
    bases,
    committing,
    compacting,
    conflicts,
    fetching,
    ledger,
    local_ledger,
    mirroring,
    placing,
    plans,
    pulling,
    pushing,
    requests,
    rolling,
    survey,
    trash,
    uploading,
)
from tests.sim.hearing import EAR
from tests.sim.mutants.patching import patched

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from swampd.domain.heads import Head
    from swampd.domain.leases import LockRecord
    from tests.sim.checks import Log
    from tests.sim.store import Mutation


# --- how a rule is recognised ---------------------------------------------------------------------


@dataclass(slots=True)
class Made:
    """One call of the engine: what went in, and what came out."""

    args: tuple[Any, ...]
    result: Any = None
    error: Exception | None = None


@dataclass(frozen=True, slots=True)
class Event:
    """An event of the log, with this value of a field if one is said."""

    name: str
    field: str = ""


@dataclass(frozen=True, slots=True)
class Call:
    """A call of a function for which the test holds, asked when it has ended (or begins)."""

    where: Any
    name: str
    test: Callable[[Made], object]
    before: bool = False


@dataclass(frozen=True, slots=True)
class LockWrite:
    """A write of a lock record, by the one before it (None: it is the first)."""

    test: Callable[[Mutation | None, LockRecord | None, Mutation, LockRecord], object]


@dataclass(frozen=True, slots=True)
class HeadWrite:
    """A write of a head, by the one before it."""

    test: Callable[[Head | None, Head], object]


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule of the protocol."""

    section: str
    name: str
    seen: Event | Call | LockWrite | HeadWrite


def _always(_made: Made) -> bool:
    return True


def _gave(made: Made) -> bool:
    """It came to something."""
    return bool(made.result)


def _step(step: Step) -> Call:
    return Call(plans, "plan_path", lambda made: made.result is step)


def _halted(halt: Halt) -> Event:
    return Event("halted", f"halt={halt.value}")


def _conflict(kind: ConflictKind) -> Event:
    return Event("conflict", f"kind={kind.value}")


def _head_landed(*, own: bool) -> Call:
    """A look told of a head write, by its own bytes or by `recent` of a later one."""

    def test(made: Made) -> bool:
        fate, head = made.result, made.args[2]
        if not isinstance(fate, Landed) or fate.found is None:
            return False
        found = codec.decode_head(fate.found.body, head.scope)
        return isinstance(found, DecodedHead) and (found.head.wid == head.wid) is own

    return Call(writing.HeadWriter, "write", test)


# --- locks ----------------------------------------------------------------------------------------


def _taken(
    state: LockState,
) -> Callable[[Mutation | None, LockRecord | None, Mutation, LockRecord], object]:
    """An acquisition over a record in this state."""

    def test(
        _by: Mutation | None, previous: LockRecord | None, _write: Mutation, record: LockRecord
    ) -> bool:
        other = previous is not None and previous.nonce != record.nonce
        return other and previous is not None and previous.state is state

    return test


def _freed_by_another(
    by: Mutation | None, previous: LockRecord | None, write: Mutation, record: LockRecord
) -> bool:
    freed = record.state is LockState.FREE and previous is not None
    return freed and by is not None and (by.node, by.life) != (write.node, write.life)


def _doubted(previous: LockRecord | None, record: LockRecord) -> bool:
    before = previous.in_doubt if previous is not None else None
    return record.in_doubt is not None and record.in_doubt != before


LOCKS: Final = (
    Rule("3", "acquire: create a missing lock", LockWrite(lambda _by, p, _w, _r: p is None)),
    Rule("3", "acquire a free lock", LockWrite(_taken(LockState.FREE))),
    Rule("3", "acquire a free lock in one request", Call(taking.Taker, "_known_free", _gave)),
    Rule("3", "take over a lock that was waited out", LockWrite(_taken(LockState.HELD))),
    Rule("3", "take over a broken lock", LockWrite(_taken(LockState.BROKEN))),
    Rule("3", "free somebody's lock that was waited out", LockWrite(_freed_by_another)),
    Rule("3", "renew", Call(lease.Lease, "_renewed", _always)),
    Rule(
        "3",
        "doubt set by a take-over or a break",
        LockWrite(lambda _by, p, _w, r: _doubted(p, r) and r.state is not LockState.FREE),
    ),
    Rule(
        "3",
        "doubt set by a release",
        LockWrite(
            lambda by, p, w, r: (
                _doubted(p, r) and not _freed_by_another(by, p, w, r) and r.state is LockState.FREE
            )
        ),
    ),
    Rule(
        "3",
        "doubt lifted after a horizon",
        LockWrite(lambda _by, p, _w, r: p is not None and p.in_doubt and r.in_doubt is None),
    ),
    Rule(
        "3",
        "release waits for answers",
        Call(lease.Lease, "release", lambda made: made.args[0].unanswered > 0, before=True),
    ),
    Rule(
        "3",
        "release waits for the renewal under way",
        Call(lease.Lease, "release", lambda made: made.args[0]._writing.locked(), before=True),
    ),
    Rule(
        "3",
        "refused, and still mine: a late renewal",
        Call(lease.Lease, "_still_mine", _gave),
    ),
    Rule("3", "lost before the release", Event("lost_before_release")),
    Rule("3", "loss: lapsed", Event("lease_lost", "reason=lapsed")),
    Rule("3", "loss: taken over", Event("lease_lost", "reason=taken_over")),
    Rule("3", "loss: broken", Event("lease_lost", "reason=broken")),
    Rule("3", "loss: its gate was lost", Event("lease_lost", "reason=gate_lost")),
    Rule("3", "break a lock", Event("lock_broken")),
    Rule("3", "second look meets a gate", Call(taking.Taker, "_look_above", _gave)),
    Rule(
        "3",
        "gate in the way: all given back, waited for",
        Call(taking.Taker, "_wait_out", lambda made: len(made.args) < 7, before=True),
    ),
    Rule(
        "3",
        "gate drains a lock below it",
        Call(taking.Taker, "_wait_out", lambda made: len(made.args) == 7, before=True),
    ),
    Rule(
        "3",
        "lock taken under a gate of its own",
        Call(
            taking.Taker,
            "_send",
            lambda made: any(gate.record.covers is Covers.TREE for gate in made.args[2]),
        ),
    ),
    Rule(
        "3",
        "asks for what sorts before what it holds: busy",
        Call(levels, "sorts_before_held", _gave),
    ),
    Rule(
        "3",
        "would wait for itself: busy",
        Call(queue.LocalQueue, "waits_for_itself", _gave),
    ),
    Rule("3", "lingering lease used again", Call(keeper.Keeper, "_reusable", _gave)),
    Rule(
        "3",
        "kept away after many uses",
        Call(
            keeper.Keeper,
            "_cool_down",
            lambda made: any(want.scope in made.args[0]._cool_until for want in made.args[1]),
            before=True,
        ),
    ),
    Rule("3", "restart: hold recovered", Event("hold_recovered")),
    Rule("3", "restart: hold lost, its scopes blocked", Call(recovery, "_block", _always)),
    Rule("3", "restart: lease without a hold freed", Call(recovery, "_give_back", _always)),
)


# --- heads ----------------------------------------------------------------------------------------


def _is(kind: HeadKind) -> HeadWrite:
    return HeadWrite(lambda _previous, head: head.kind is kind)


def _child_done(previous: Head | None, head: Head) -> bool:
    before = previous.children if previous is not None else {}
    return any(
        state.pending is None and name in before and before[name].pending is not None
        for name, state in head.children.items()
    )


def _reads_anew(made: Made) -> bool:
    known = made.args[2]
    return bool(made.result and made.result.whole and known is not None and known.head.manifests)


def _masks_in_merge(made: Made) -> bool:
    head = made.args[1]
    merged = made.result and len(made.result[1]) < len(head.manifests)
    return bool(merged and head.children)


HEADS: Final = (
    Rule("2", "no answer, found applied", Event("unknown_resolved", "fate=landed")),
    Rule("2", "no answer, found refused", Event("unknown_resolved", "fate=refused")),
    Rule("2", "no answer, and none found", Event("unknown_resolved", "fate=unanswered")),
    Rule(
        "2",
        "no answer, unchanged: sent again",
        Call(cas.Writer, "_read_back", lambda made: made.result is not None and not made.result[0]),
    ),
    Rule("2", "own head write read back", _head_landed(own=True)),
    Rule("2", "own commit found in `recent` of a later head", _head_landed(own=False)),
    Rule(
        "2",
        "least interval between writes waited out",
        Call(
            waiting.Pace,
            "turn",
            lambda made: made.args[0]._free_at.get(made.args[1], 0) > made.args[0]._clock.now(),
            before=True,
        ),
    ),
    Rule("3", "claim", _is(HeadKind.CLAIM)),
    Rule(
        "3",
        "claim shuts out an older lease",
        Call(writing.HeadWriter, "check_epoch", lambda made: isinstance(made.error, LockLost)),
    ),
    Rule("4", "declare", _is(HeadKind.DECLARE)),
    Rule("4", "pending child read from its parent", Call(reading, "put_pending", _gave)),
    Rule("4", "pending cleared by one who saw the child", HeadWrite(_child_done)),
    Rule(
        "4",
        "head of a declared child made by somebody else",
        Call(writing.HeadWriter, "first_head", lambda made: "/" in made.args[1].scope),
    ),
    Rule(
        "4",
        "delta becomes a manifest",
        Call(manifests.Manifests, "_merge", lambda made: made.result is not None),
    ),
    Rule(
        "4",
        "neighbouring manifests merged",
        Call(
            manifests.Manifests,
            "_merge",
            lambda made: made.result and len(made.result[1]) < len(made.args[1].manifests),
        ),
    ),
    Rule(
        "4",
        "child masked in a merge",
        Call(manifests.Manifests, "_merge", _masks_in_merge),
    ),
    Rule(
        "4",
        "head read whole: the known manifests are gone",
        Call(
            reading.HeadReader,
            "_unseen",
            _reads_anew,
        ),
    ),
    Rule("4", "halt head_went_back", _halted(Halt.HEAD_WENT_BACK)),
    Rule("4", "halt head_damaged", _halted(Halt.HEAD_DAMAGED)),
    Rule("4", "halt datastore_changed", _halted(Halt.DATASTORE_CHANGED)),
    Rule(
        "4",
        "halt lifted by another look at the head",
        Call(reading.HeadReader, "look_again", lambda made: made.error is None),
    ),
)


# --- plain keys -----------------------------------------------------------------------------------


def _done(test: Callable[[Any, Any, Any, Any], object]) -> Call:
    """An upload is done: its item, wid, token and redo copy."""
    return Call(
        uploading.Uploader,
        "_done",
        lambda made: test(made.args[1], made.args[3], made.args[4], made.args[5]),
    )


def _swept(what: str) -> Call:
    """`compact` deleted some of these."""
    return Call(
        compacting.Compactor, "run", lambda made: made.result and made.result.counts()[what]
    )


def _mirrored(test: Callable[[Entry, Any], object]) -> Call:
    """A PUT of the mirror: its entry, and the token that it expects."""
    return Call(mirroring.Mirror, "_send", lambda made: test(made.args[2], made.args[4]))


def _problem(state: PathState) -> Call:
    """What a download is in when the store does not have what the head says."""
    return Call(fetching, "_problem", lambda made: made.result is state)


def _found_in_the_way(made: Made) -> bool:
    file, plain = made.args[3], made.args[4]
    return plain.mark is not None and plain.mark.sha256 != file.content.sha256


PLAIN: Final = (
    Rule(
        "4.1",
        "new path on its plain key before the commit",
        _done(lambda item, wid, _token, redo: redo is None and wid == item.wid),
    ),
    Rule("4.1", "orphan adopted", _done(lambda item, wid, _t, redo: not redo and wid != item.wid)),
    Rule("4.2", "orphan in the way", Call(uploading.Uploader, "_take_found", _found_in_the_way)),
    Rule(
        "4.2", "redo copy inline", _done(lambda _i, _w, _t, redo: redo and redo.inline is not None)
    ),
    Rule("4.2", "redo copy staged", _done(lambda _i, _w, _t, redo: redo and redo.staged)),
    Rule(
        "4",
        "redo copy read, inline",
        Call(fetching, "_fetch_one", lambda made: made.args[2].redo and made.args[2].redo.inline),
    ),
    Rule(
        "4",
        "redo copy read, staged",
        Call(fetching, "_wanted", lambda made: made.args[2].redo and made.args[2].redo.staged),
    ),
    Rule(
        "4.3",
        "mirror: on the expected token",
        _mirrored(lambda entry, token: token is not None and token == entry.token),
    ),
    Rule(
        "4.3",
        "mirror: nothing there, created",
        _mirrored(lambda _entry, token: token is None),
    ),
    Rule(
        "4.3",
        "mirror: on an older write that was in the way",
        _mirrored(lambda entry, token: token is not None and token != entry.token),
    ),
    Rule("4.3", "mirror: staged copy by the store", Call(requests.PlainKeys, "copy", _always)),
    Rule("4.3", "mirror: foreign object in the way", Call(mirroring.Mirror, "_foreign", _always)),
    Rule(
        "4.3",
        "tombstone swept: deleted on its token",
        Call(
            requests.PlainKeys,
            "delete",
            lambda made: (
                isinstance(made.result, Applied)
                and made.args[0]._sync.store.capabilities.conditional_delete
            ),
        ),
    ),
    Rule(
        "4.3",
        "tombstone swept: the store has no conditional delete",
        Call(
            requests.PlainKeys,
            "delete",
            lambda made: (
                isinstance(made.result, Applied)
                and not made.args[0]._sync.store.capabilities.conditional_delete
            ),
        ),
    ),
    Rule("4.4", "settle", _is(HeadKind.SETTLE)),
    Rule("4", "compact: orphan swept", _swept("orphans")),
    Rule("4", "compact: staged copy deleted", _swept("staged")),
    Rule("4", "compact: manifest deleted", _swept("manifests")),
    Rule(
        "4",
        "compact: left, in doubt",
        Call(compacting.Compactor, "_not_now", lambda made: made.result == compacting.IN_DOUBT),
    ),
    Rule(
        "4.4",
        "settled with a commit by the way",
        Call(committing, "settlements", lambda made: made.result and made.result[0]),
    ),
    Rule(
        "4.4",
        "tombstone marked as swept",
        HeadWrite(
            lambda _p, head: any(isinstance(r, Tombstone) and r.swept for r in head.delta.values())
        ),
    ),
    Rule(
        "4.4",
        "staged copy deleted",
        Call(committing, "drop_staged", lambda made: bool(made.args[2])),
    ),
    Rule(
        "4.4",
        "not settled: lease in doubt",
        Call(requests.PlainKeys, "is_sure", lambda made: made.args[0]._lease.in_doubt),
    ),
    Rule(
        "4.4",
        "not settled: path in doubt",
        Call(
            requests.PlainKeys,
            "is_sure",
            lambda made: made.result is False and not made.args[0]._lease.in_doubt,
        ),
    ),
    Rule(
        "4",
        "reader: unsettled",
        _problem(PathState.UNSETTLED),
    ),
    Rule(
        "4",
        "reader: missing",
        _problem(PathState.MISSING),
    ),
    Rule(
        "7",
        "halt mirror_denied",
        Call(heads_ledger, "note_halt", lambda made: made.args[2] is Halt.MIRROR_DENIED),
    ),
)


# --- push, pull, plan -----------------------------------------------------------------------------

PUSH: Final = (
    Rule("5.2", "nothing to send: no request", Call(pushing.Pusher, "without_lease", _always)),
    Rule(
        "5.4",
        "changed while it was sent, planned again",
        Call(pushing.Pusher, "_plan_edited", _always),
    ),
    Rule(
        "5.4",
        "busy: changed each time it was read",
        Call(
            pushing.Pusher,
            "_note_held",
            lambda made: PathState.BUSY in made.args[2].held.values(),
            before=True,
        ),
    ),
    Rule(
        "5.4",
        "acknowledged before, not sent again",
        Call(uploading.Uploader, "_sent_before", _gave),
    ),
    Rule("5.4", "request given up after a horizon", Call(ledger, "expire_requests", _always)),
    Rule("5.5", "commit", _is(HeadKind.COMMIT)),
    Rule("5.5", "head rejected, planned again", Event("push_overtaken")),
    Rule(
        "5.5",
        "commit answered unknown",
        Call(pushing, "commit", lambda made: isinstance(made.error, OutcomeUnknown)),
    ),
    Rule(
        "5.5",
        "store write failed, nothing committed",
        Call(pushing.Pusher, "_upload", lambda made: isinstance(made.error, PushFailed)),
    ),
    Rule("5.5", "commit found out later by `recent`", Event("commit_found")),
    Rule("5.5", "commit found not to have landed", Event("commit_not_landed", "hidden=False")),
    Rule("5.5", "commit hidden by 16 others: join", Event("commit_not_landed", "hidden=True")),
    Rule(
        "5.5",
        "path of an open commit held",
        Call(
            plans,
            "make_plan",
            lambda made: made.result and PathState.UNCOMMITTED in made.result.held.values(),
        ),
    ),
    Rule("5.7", "mirror left for later", Event("mirror_left")),
    Rule(
        "5",
        "same bytes under another stamp",
        Call(
            survey,
            "_note",
            lambda made: (
                made.args[4] is not None
                and made.args[2] is not None
                and made.args[4].content == made.args[2].content
            ),
        ),
    ),
    Rule("6", "push holds back a directory or pointer", Call(pushing.Pusher, "_waiting", _gave)),
)
STEPS: Final = tuple(
    Rule("6", f"plan: {step.value}", _step(step)) for step in Step if step is not Step.WENT_BACK
)
PULL: Final = (
    Rule("6", "placed new", Call(placing.Placer, "place", lambda made: made.args[2] is None)),
    Rule(
        "6",
        "placed over another",
        Call(placing.Placer, "place", lambda made: made.args[2] is not None),
    ),
    Rule(
        "6",
        "what came out was not what the plan saw: put back",
        Call(placing.Placer, "_put_back", _always),
    ),
    Rule(
        "6",
        "pull holds back a directory or pointer",
        Call(
            pulling.Puller,
            "_hold_back",
            lambda made: PathState.HELD_BACK in made.args[3].held.values(),
        ),
    ),
    Rule(
        "6", "placement rolled forward after a crash", Call(rolling, "_note_what_was_done", _always)
    ),
    Rule("6", "trash emptied", Call(trash, "_end", _always)),
)


def _resolved(side: conflicts.Side) -> Callable[[Made], object]:
    return lambda made: made.args[2] is side and made.error is None


LOCAL: Final = (
    Rule("7", "join mode: the marker is gone", Event("join_mode", "marker=none")),
    Rule("7", "join mode: the marker is another", Event("join_mode", "marker=other")),
    Rule("7", "join mode begins with a claim", Call(local_ledger, "note_join_claimed", _always)),
    *(
        Rule("7", f"conflict {kind.value}", _conflict(kind))
        for kind in ConflictKind
        if kind is not ConflictKind.NAME_COLLISION
    ),
    *(
        Rule(
            "7",
            f"conflict resolved: {side.value}",
            Call(
                conflicts.Resolver,
                "resolve",
                _resolved(side),
            ),
        )
        for side in conflicts.Side
    ),
    Rule("7", "halt too_many_deletes", _halted(Halt.TOO_MANY_DELETES)),
    Rule(
        "7",
        "halt low_space",
        Call(
            pulling.Puller,
            "_guard",
            lambda made: (
                isinstance(made.error, Halted)
                and made.error.fields.get("halt") == Halt.LOW_SPACE.value
            ),
        ),
    ),
    Rule(
        "7",
        "halt cache_missing",
        Call(bases.Bases, "check", lambda made: isinstance(made.error, Halted)),
    ),
)

RULES: Final = (*HEADS, *LOCKS, *PLAIN, *PUSH, *STEPS, *PULL, *LOCAL)

OUT_OF_REACH: Final = {
    "missing payload brought back": "nobody copies a file of one machine to another: test_missing",
    "plan: went_back": "no writer drops a row without a tombstone: unit tests of the planner",
    "conflict name_collision": "users make no name both file and directory: tests of workspaces",
    "damaged lock record": "an epoch that nobody knows may come again: tests of taking",
    "tombstone dropped after 90 days": "runs last an hour: unit tests of manifests",
    "break --now": "L6 does not hold then: tests of the lock book",
    "copied state directory": "known by what is above the simulator: tests of instances",
    "file system without EXCHANGE": "the tree's contract suite; the crash points",
}


# --- counting -------------------------------------------------------------------------------------


@contextmanager
def watching(counts: Counter[str]) -> Iterator[None]:
    """Count the calls that show a rule."""
    watched: dict[tuple[Any, str], list[Rule]] = {}
    for rule in RULES:
        if isinstance(rule.seen, Call):
            watched.setdefault((rule.seen.where, rule.seen.name), []).append(rule)
    with patched(
        *(
            (where, name, _watched(where.__dict__[name], rules, counts))
            for (where, name), rules in watched.items()
        )
    ):
        yield


def _watched(real: Any, rules: list[Rule], counts: Counter[str]) -> Any:
    calls = [(rule.name, rule.seen) for rule in rules if isinstance(rule.seen, Call)]

    def judge(made: Made, *, before: bool) -> None:
        for name, call in calls:
            if call.before is before and call.test(made):
                counts[name] += 1

    if inspect.iscoroutinefunction(real):

        @wraps(real)
        async def wait(*args: Any, **named: Any) -> Any:
            made = Made(args)
            judge(made, before=True)
            try:
                made.result = await real(*args, **named)
            except Exception as error:
                made.error = error
                judge(made, before=False)
                raise
            judge(made, before=False)
            return made.result

        return wait

    @wraps(real)
    def call(*args: Any, **named: Any) -> Any:
        made = Made(args)
        judge(made, before=True)
        try:
            made.result = real(*args, **named)
        except Exception as error:
            made.error = error
            judge(made, before=False)
            raise
        judge(made, before=False)
        return made.result

    return call


def read(log: Log, counts: Counter[str]) -> None:
    """Count what the log of the engine and of the store shows."""
    for rule in RULES:
        seen = rule.seen
        if isinstance(seen, Event):
            counts[rule.name] += EAR.counts[seen.name, seen.field]
        elif isinstance(seen, LockWrite):
            counts[rule.name] += sum(bool(seen.test(*step)) for step in _lock_steps(log))
        elif isinstance(seen, HeadWrite):
            counts[rule.name] += sum(bool(seen.test(*step)) for step in _head_steps(log))


def _lock_steps(
    log: Log,
) -> Iterator[tuple[Mutation | None, LockRecord | None, Mutation, LockRecord]]:
    for history in log.locks.values():
        yield None, None, *history[0]
        for before, after in pairwise(history):
            yield *before, *after


def _head_steps(log: Log) -> Iterator[tuple[Head | None, Head]]:
    for history in log.heads.values():
        yield None, history[0][1]
        for (_, before), (_, after) in pairwise(history):
            yield before, after


def table(counts: Mapping[str, int]) -> Iterable[str]:
    """The rules, each with how often it was exercised."""
    width = max(len(rule.name) for rule in RULES)
    for rule in sorted(RULES, key=lambda rule: rule.section):
        yield f"{rule.section:4} {rule.name:{width}} {counts.get(rule.name, 0):8}"


def unreached(counts: Mapping[str, int]) -> list[str]:
    """The rules that were not exercised."""
    return [rule.name for rule in RULES if not counts.get(rule.name)]
