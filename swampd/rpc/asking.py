"""Who asks, as the engine wants to know it, and how its refusals name people."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from swampd.domain import scopes
from swampd.domain.paths import PathProblem, parse_scope
from swampd.errors import BadRequest, LockBusy, LockLost, LockTimeout, NotHolder
from swampd.rpc.convert import requests
from swampd.workspace import Asker

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from swampd.domain.values import Scope
    from swampd.locking.holds import Hold
    from swampd.serving import Served, Workspaces
    from swampd.v1 import common_pb2
    from swampd.workspace import Workspace


def asker_of(
    workspaces: Workspaces, served: Served, caller: common_pb2.Caller, wait_s: float
) -> Asker:
    """The asker; one that shows a token acts as the owner of that hold.

    A token of another open workspace counts as none: SWAMP_LOCK_TOKEN is inherited by whatever a
    command starts, for whichever repo.  Raises NotHolder for a token that nobody knows.
    """
    fresh = workspaces.world.rng.uuid()
    if caller.token:
        if knows(served.workspace, caller.token):
            hold = served.workspace.holds.by_token(caller.token)
            return Asker(hold.owner, caller.token, wait_s)
        if not any(knows(other.workspace, caller.token) for other in workspaces.all()):
            raise NotHolder(
                "no hold has the token that was shown",
                "it was released or lost: unset SWAMP_LOCK_TOKEN, and see `swampctl lock list`",
            )
    return Asker(requests.owner(caller, fresh), None, wait_s)


def knows(workspace: Workspace, token: str) -> bool:
    """Is this the token of one of its holds?"""
    return any(hold.token == token for hold in workspace.holds)


def spelt(served: Served, text: str) -> str:
    """A scope as a person wrote it, without the cache in front; raises BadRequest outside it."""
    if not text.startswith("/"):
        return text
    cache = str(served.located.cache)
    real = os.path.normpath(text)
    if real == cache:
        return scopes.ALL
    if real.startswith(cache + "/"):
        return real[len(cache) + 1 :]
    raise BadRequest(
        f"{text} is not in the cache {cache}",
        "a scope is a path in the cache, such as data/aws-ec2/x",
        scope=text,
    )


def spelt_all(served: Served, texts: Iterable[str]) -> list[str]:
    """All of them, in order."""
    return [spelt(served, text) for text in texts]


def parse(served: Served, text: str) -> Scope:
    """The scope that a person wrote.  Raises BadRequest."""
    scope = parse_scope(spelt(served, text), allow_all=True)
    if isinstance(scope, PathProblem):
        raise BadRequest(
            f"{text!r} is no scope: {scope.summary}",
            "a scope is a path in the cache, such as data/aws-ec2/x",
            scope=text,
        )
    return scope


async def taken_for(served: Served, texts: Iterable[str]) -> dict[str, Scope]:
    """The scope that a lock takes for each of these, by what was asked for."""
    names = served.workspace.names
    return {text: (await names.resolve(parse(served, text))).scope for text in dict.fromkeys(texts)}


def covers(hold: Hold, wanted: Mapping[str, Scope]) -> bool:
    """Does this hold cover all of these scopes?  Raises LockLost for a lost one that did."""
    inside = all(
        any(
            want.scope == scope or (want.tree and scopes.is_below(scope, want.scope))
            for want in hold.wants
        )
        for scope in wanted.values()
    )
    if inside and not hold.valid():
        reason = hold.lost.value if hold.lost is not None else "lapsed"
        raise LockLost(
            f"the lock on {', '.join(hold.scopes)} was lost: {reason}",
            "what was edited is still in the cache; run the command again to act afresh",
            scope=hold.scopes[0],
            reason=reason,
        )
    return inside


def with_names(workspace: Workspace, error: LockBusy | LockTimeout) -> LockBusy | LockTimeout:
    """The same refusal, with the local holder by its name and age."""
    holder = error.fields.get("holder", "")
    scope = error.fields.get("scope", "")
    wall_ms = workspace.ports.clock.wall_ms()
    for hold in workspace.holds:
        if holder not in {hold.owner.key, hold.purpose} or hold.lost is not None:
            continue
        age = max(0, wall_ms - hold.life.get("wall_ms", wall_ms)) // 1000
        who = hold.owner.label or hold.owner.key
        doing = f" ({hold.purpose})" if hold.purpose else ""
        return type(error)(
            f"{scope} is locked on this machine by {who}{doing}, for {age} s",
            error.hint,
            **{**error.fields, "holder": who, "age_s": str(age)},
        )
    return error
