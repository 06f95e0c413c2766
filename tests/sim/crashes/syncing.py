"""Push, pull, settle, compact, declare and resolve, scripted."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING, Final

from swampd import upkeep
from swampd.domain.leases import HORIZON_S
from swampd.domain.values import Scope
from swampd.syncing.conflicts import Side
from tests.sim.crashes.scenario import (
    HEADS,
    LARGE,
    LATEST,
    NEXT,
    RAW,
    ROOT,
    TOP,
    Scenario,
    Y,
    died,
    old_files,
    start,
    their_files,
    twice,
)
from tests.sim.crashes.stage import Stage
from tests.sim.users import Replaced

if TYPE_CHECKING:
    from tests.sim.crashes.stage import Person

HEAD: Final = f"store.replace:{HEADS}/data.json"
STAGED: Final = "_control/swampd/staged/"


async def _push(stage: Stage) -> None:
    await stage.me.pushes()


async def _push_data(stage: Stage) -> None:
    await stage.me.pushes("data")


async def _push_deeper(stage: Stage) -> None:
    await stage.me.pushes("data/x")


async def _pull(stage: Stage) -> None:
    await stage.me.pulls()


async def _settle(stage: Stage) -> None:
    await stage.me.life.workspace.desks.settle(Scope("data"))


async def _lock_deeper(stage: Stage) -> None:
    await stage.me.locks("data/x")


async def _compact(stage: Stage) -> None:
    await upkeep.compact(stage.me.life.workspace, stage.me.asker)


async def _resolve_kept(stage: Stage) -> None:
    await stage.me.decides(TOP, Side.THEIRS)


async def _resolve(stage: Stage, side: Side) -> None:
    """The next pull carries a decision for theirs out, the next push one for ours."""
    await stage.me.decides(Y, side)
    if side is Side.THEIRS:
        await stage.me.pulls("data")
    elif side is Side.OURS:
        await stage.me.pushes("data")


# --- what is at the files -------------------------------------------------------------------------


def _new(stage: Stage) -> None:
    _new_by(stage.me)


def _new_by(person: Person) -> None:
    person.write(NEXT, "new")
    person.write(ROOT, "new", LARGE)


def _staged(stage: Stage) -> None:
    stage.me.write(RAW, "new", LARGE)
    stage.me.write(TOP, "new", LARGE)


def _in_parts(stage: Stage) -> None:
    _in_parts_by(stage.me)


def _in_parts_by(person: Person) -> None:
    person.write(NEXT, "new")
    person.write(RAW, "new")


def _removed(stage: Stage) -> None:
    stage.me.remove(RAW, Y)


def _recreated(stage: Stage) -> None:
    stage.me.write(Y, "old")


def _all_kinds(stage: Stage) -> None:
    _all_kinds_by(stage.me)


def _all_kinds_by(person: Person) -> None:
    person.write(NEXT, "new")
    person.write(RAW, "new", LARGE)
    person.write(TOP, "new")
    person.write_bytes(LATEST, b"2")
    person.remove(Y)


# --- what was pushed before -----------------------------------------------------------------------


async def _old_files_and_pointer(stage: Stage) -> None:
    stage.me.write_bytes(LATEST, b"1")
    await old_files(stage)


async def _removed_before(stage: Stage) -> None:
    await old_files(stage)
    stage.me.remove(Y)
    await stage.me.pushes("data")
    await stage.rests()


async def _all_kinds_before(stage: Stage) -> None:
    await _old_files_and_pointer(stage)
    _all_kinds(stage)
    await stage.me.pushes()
    await stage.rests()


async def _other_pushed(stage: Stage) -> None:
    """The head has moved on, so a plan is made again under the lease."""
    await old_files(stage)
    _new_by(stage.other)
    await stage.other.pushes()
    await stage.rests()


async def _other_in_parts(stage: Stage) -> None:
    await their_files(stage)
    _in_parts_by(stage.other)
    await stage.other.pushes("data")
    await stage.rests()


async def _other_all_kinds(stage: Stage) -> None:
    await their_files(stage)
    _all_kinds_by(stage.other)
    await stage.other.pushes()
    await stage.rests()


async def _other_all_kinds_without_exchange(stage: Stage) -> None:
    stage.me.node.tree.exchange_supported = False
    await _other_all_kinds(stage)


async def _other_all_kinds_into_edits(stage: Stage) -> None:
    """And the first person writes there while their daemon places it."""
    await _other_all_kinds(stage)
    steps = {f"exchange {TOP}": TOP, f"move_aside {TOP}": TOP, f"link {RAW}": RAW}
    steps |= {f"move_away {Y}": Y, f"rename_new {NEXT}": NEXT}
    for step, path in steps.items():
        stage.meanwhile[step] = partial(stage.me.write, path, "just now")


async def _steps_into_edits(stage: Stage) -> None:
    stage.me.node.tree.exchange_supported = False
    await _other_all_kinds_into_edits(stage)


async def _kept_bytes(stage: Stage) -> None:
    """The daemon was killed right after it had placed a file over an edit."""
    await died(stage, _INTO_EDITS, f"tree.exchange:{TOP}#1")
    await start(stage)
    await stage.rests()


async def _kept_into_edit(stage: Stage) -> None:
    """And the person writes there again while it is decided on, in the last moment."""
    await _kept_bytes(stage)
    stage.meanwhile.clear()
    for step in ("exchange", "move_aside"):
        stage.meanwhile[f"{step} {TOP}"] = partial(stage.me.write, TOP, "in that moment")


async def _kept_in_steps(stage: Stage) -> None:
    await _kept_bytes(stage)
    stage.meanwhile.clear()
    stage.me.node.tree.exchange_supported = False


async def _kept_in_steps_into_edit(stage: Stage) -> None:
    await _kept_into_edit(stage)
    stage.me.node.tree.exchange_supported = False


async def _both_edited(stage: Stage) -> None:
    await old_files(stage)
    stage.other.write(Y, "theirs")
    await stage.other.pushes("data")
    stage.me.write(Y, "ours")
    stage.me.write(TOP, "ours")
    await stage.rests()


async def _in_conflict(stage: Stage) -> None:
    await _both_edited(stage)
    await stage.me.pulls("data")
    await stage.rests()


async def _edited_once_decided(stage: Stage) -> None:
    """And the person writes there again, while their daemon looks at the copy."""
    await _in_conflict(stage)
    step = f"read .swampd/conflicts/{Y}"
    stage.meanwhile[step] = partial(stage.me.write, Y, "just now")


async def _emptied(stage: Stage) -> None:
    """The cache was lost, and there is new work in it: join mode."""
    await old_files(stage)
    history, node = stage.history, stage.me.node
    for path in node.tree.files():
        history.touch(node, path)
    node.tree.wipe()
    history.replaced[node.name] = Replaced(node.world.time, frozenset())
    stage.me.write(RAW, "after the loss")
    stage.me.write(NEXT, "after the loss")
    await stage.rests()


async def _left_by_crash(stage: Stage) -> None:
    """Of a push that died an object at a plain key and a staged copy, which no head names: what it
    sent is other by now, and can no longer land."""
    await died(stage, _PUSH_ALL, f"store.create:{STAGED}WID#1")
    stage.me.remove(NEXT)
    stage.me.write(RAW, "newer")
    await start(stage)
    await stage.me.pushes()
    await asyncio.sleep(HORIZON_S + 60.0)
    await stage.rests()


# --- all of them ----------------------------------------------------------------------------------

_PUSH_ALL: Final = Scenario(
    "push_all_kinds",
    _old_files_and_pointer,
    _push,
    _all_kinds,
    shows=(
        f"store.create:{NEXT}",
        f"store.create:{STAGED}",
        f"store.replace:{RAW}",
        f"store.delete_if:{Y}",
        HEAD,
    ),
)
_PULL_ALL: Final = Scenario(
    "pull_all_kinds",
    _other_all_kinds,
    _pull,
    shows=(f"tree.rename_new:{NEXT}", f"tree.exchange:{LATEST}", f"tree.move_away:{Y}"),
)
_IN_STEPS: Final = Scenario(
    "pull_in_steps", _other_all_kinds_without_exchange, _pull, shows=(f"tree.link:{TOP}",)
)
_INTO_EDITS: Final = Scenario(
    "pull_into_edits",
    _other_all_kinds_into_edits,
    _pull,
    shows=("tree.rename_new:.swampd/conflicts/",),
)
_DECIDED_IN_STEPS: Final = Scenario(
    "resolve_kept_in_steps_into_edit",
    _kept_in_steps_into_edit,
    _resolve_kept,
    shows=(f"tree.link:{TOP}",),
)
_WITHOUT_CONDITIONS: Final = partial(Stage, conditional_delete=False)
_LARGE: Final = partial(Stage, large=True)
_CHILD: Final = f"store.create:{HEADS}/data%2Fx.json"

SCENARIOS: Final = (
    Scenario("push_new", old_files, _push, _new, shows=(f"store.create:{NEXT}",)),
    Scenario(
        "push_deleted_unconditionally",
        old_files,
        _push_data,
        _removed,
        shows=(f"store.delete:{Y}",),
        stage=_WITHOUT_CONDITIONS,
    ),
    Scenario("push_recreated", _removed_before, _push_data, _recreated, shows=(HEAD,)),
    Scenario("push_after_another", _other_pushed, _push_data, _staged, shows=(HEAD,)),
    _PUSH_ALL,
    Scenario(
        "push_in_parts",
        old_files,
        _push_data,
        _in_parts,
        shows=(f"store.complete:{NEXT}", f"store.part:{STAGED}"),
        stage=_LARGE,
    ),
    Scenario(
        "pull_in_parts",
        _other_in_parts,
        _pull,
        shows=(f"tree.exchange:{RAW}",),
        stage=_LARGE,
    ),
    Scenario("settle", _all_kinds_before, _settle, shows=(HEAD, f"store.delete:{STAGED}")),
    _PULL_ALL,
    _INTO_EDITS,
    Scenario(
        "pull_in_steps_into_edits",
        _steps_into_edits,
        _pull,
        shows=("tree.rename_new:.swampd/conflicts/",),
    ),
    Scenario("resolve_kept", _kept_bytes, _resolve_kept, shows=(f"tree.exchange:{TOP}",)),
    Scenario(
        "resolve_kept_into_edit", _kept_into_edit, _resolve_kept, shows=(f"tree.exchange:{TOP}",)
    ),
    Scenario("resolve_kept_in_steps", _kept_in_steps, _resolve_kept, shows=(f"tree.link:{TOP}",)),
    _DECIDED_IN_STEPS,
    Scenario("pull_conflict", _both_edited, _pull, shows=("tree.rename_new:.swampd/conflicts/",)),
    Scenario("pull_joining", _emptied, _pull, shows=("tree.write_marker",)),
    Scenario(
        "declare",
        old_files,
        _push_deeper,
        _new,
        shows=("store.create:_control/swampd/manifests/", HEAD, _CHILD),
    ),
    Scenario("declare_by_lock", old_files, _lock_deeper, shows=(HEAD, _CHILD)),
    *(
        Scenario(
            f"resolve_{side.value}",
            _in_conflict,
            partial(_resolve, side=side),
            shows=("tree.unlink:.swampd/conflicts/",),
        )
        for side in Side
    ),
    Scenario(
        "resolve_theirs_before_edit",
        _edited_once_decided,
        partial(_resolve, side=Side.THEIRS),
        shows=(f"tree.read:.swampd/conflicts/{Y}",),
    ),
    Scenario(
        "compact",
        _left_by_crash,
        _compact,
        shows=(f"store.delete_if:{NEXT}", f"store.delete:{STAGED}", HEAD),
    ),
    twice("start_after_push", _PUSH_ALL, f"{HEAD}#1"),
    twice("start_after_pull", _PULL_ALL, f"tree.exchange:{TOP}#1"),
    twice("start_after_edit", _INTO_EDITS, f"tree.exchange:{TOP}#1"),
    twice("start_after_decision", _DECIDED_IN_STEPS, f"tree.move_aside:{TOP}#1"),
    twice("start_after_steps", _IN_STEPS, f"tree.link:{TOP}#1"),
)
