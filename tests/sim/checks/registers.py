"""Linearizability of locks and heads, from what their clients saw.

Each key is a register whose values are unique (L9) and which is changed by conditional writes only.
A write whose answer is unclear took effect at one moment after it was sent, or never; a definite
answer was true at one moment between sending and answer.  So the values that took effect form one
chain, each the successor of the value that its write expected, and what was seen bounds the moment
`t` of each step from both sides:

- the write itself: not before it was sent, and if it is known to be applied not after its answer;
- a read of a value: asked before the next step, answered after its own;
- a refusal of what expected a value: answered after the next step.

There is an order that explains all answers just if moments within those bounds can be chosen in the
order of the chain.  A last step that nobody saw may explain refusals.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NoReturn

from swampd.domain.outcomes import Applied, Found, Missing, Page, Rejected, Unchanged
from tests.sim.calls import NEVER
from tests.sim.checks.violations import fail

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from swampd.domain.values import Token
    from tests.sim.calls import Call

LIN: Final = "LIN"
WRITES: Final = ("create", "replace")
READS: Final = ("get", "get?", "head")
NOTHING: Final = "nothing"
"""The value of a register before its first write."""


@dataclass(slots=True)
class _Step:
    """How a value came to be: bounds of the moment."""

    earliest: float = float("-inf")
    latest: float = NEVER

    def not_before(self, time: float) -> None:
        self.earliest = max(self.earliest, time)

    def not_after(self, time: float) -> None:
        self.latest = min(self.latest, time)


class _Register:
    """The calls on one key, by the values that they are about."""

    def __init__(self, key: str) -> None:
        self.key = key
        self.writes: dict[str, list[Call]] = {}
        """Value -> its sendings."""
        self.parents: dict[str, str] = {}
        """Value -> what it was written on."""
        self.reads: list[tuple[str, Call]] = []
        self.refusals: list[tuple[str, Call]] = []
        """With the value that the write expected."""

    def fail(self, what: str) -> NoReturn:
        """No order of the calls explains this."""
        fail(LIN, f"{self.key}: {what}")

    def check(self) -> None:
        """Is there an order?"""
        chain = self._chain()
        steps = [self._step(value) for value in chain]
        number = {value: i for i, value in enumerate(chain)}
        unseen = _Step()
        steps.append(unseen)
        for value, read in self.reads:
            at = number[value]
            steps[at].not_after(read.answered)
            steps[at + 1].not_before(read.asked)
        for value, refusal in self.refusals:
            if value in number:
                steps[number[value] + 1].not_after(refusal.answered)
        if unseen.latest < NEVER:
            self._explain(unseen, chain)
        moment = float("-inf")
        for value, step in zip([*chain, "an unseen write"], steps, strict=True):
            moment = max(moment, step.earliest)
            if moment > step.latest:
                self.fail(
                    f"{value} came after {moment:.3f} by what some saw, and before"
                    f" {step.latest:.3f} by what others did"
                )

    def _chain(self) -> list[str]:
        """The values that somebody saw, and those that they were written on, in order."""
        seen = {value for value, _ in self.reads}
        seen.update(
            value
            for value, sendings in self.writes.items()
            if any(isinstance(call.answer, Applied) for call in sendings)
        )
        following: dict[str, str] = {}
        to_explain, done = sorted(seen), {NOTHING}
        while to_explain:
            value = to_explain.pop()
            if value in done:
                continue
            done.add(value)
            before = self.parents.get(value)
            if before is None:
                self.fail(f"{value} was seen, and nobody can have written it")
            if following.setdefault(before, value) != value:
                self.fail(f"both {following[before]} and {value} came after {before}")
            to_explain.append(before)
        chain = [NOTHING]
        while chain[-1] in following:
            chain.append(following[chain[-1]])
        if len(chain) <= len(following):
            self.fail("a value was written on one that came after it")
        return chain

    def _step(self, value: str) -> _Step:
        """By its own sendings: the one that was acknowledged, else any that may have landed."""
        if value == NOTHING:
            return _Step()
        sendings = [call for call in self.writes[value] if not isinstance(call.answer, Rejected)]
        applied = [call for call in sendings if isinstance(call.answer, Applied)]
        if len(applied) > 1:
            self.fail(f"{value} was applied twice")
        if applied:
            return _Step(applied[0].asked, applied[0].answered)
        return _Step(min(call.asked for call in sendings))

    def _explain(self, unseen: _Step, chain: list[str]) -> None:
        """Somebody was refused what expected the last value: by a write that nobody saw."""
        sent = [
            call.asked
            for value, before in self.parents.items()
            if before == chain[-1] and value not in chain
            for call in self.writes[value]
            if not isinstance(call.answer, Rejected)
        ]
        if not sent:
            self.fail(f"a write on {chain[-1]} was refused, and nothing came after that")
        unseen.not_before(min(sent))


def check_registers(calls: Iterable[Call], spoilt: Collection[str] = ()) -> None:
    """Some order of all calls explains every answer; a key that somebody has `spoilt` is none."""
    known = list(calls)
    values = _values(known)
    registers: dict[str, _Register] = {}
    for call in known:
        if call.what != "list":
            _take(registers.setdefault(call.key, _Register(call.key)), call, values)
    for call in known:
        if call.what == "list":
            _take_listing(registers, call, values)
    for register in registers.values():
        if register.key not in spoilt:
            register.check()


def _value(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()[:12]


def _values(calls: list[Call]) -> dict[tuple[str, Token], str]:
    """Which value a token of a key names, as the clients learnt it."""
    found: dict[tuple[str, Token], str] = {}
    for call in calls:
        answer = call.answer
        if isinstance(answer, Applied) and answer.token is not None and call.body is not None:
            found[call.key, answer.token] = _value(call.body)
        if isinstance(answer, Found) and call.what != "head":
            found[call.key, answer.token] = _value(answer.body)
    return found


def _named(values: dict[tuple[str, Token], str], key: str, token: Token | None) -> str:
    return NOTHING if token is None else values.get((key, token), f"token {token.e_tag}")


def _take(register: _Register, call: Call, values: dict[tuple[str, Token], str]) -> None:
    answer, key = call.answer, call.key
    if call.what in WRITES and call.body is not None:
        _take_write(register, call, _named(values, key, call.token))
    elif call.what not in READS:
        register.fail(f"{call.what} by {call.client} on no condition")
    elif isinstance(answer, Found):
        register.reads.append((_named(values, key, answer.token), call))
    elif isinstance(answer, Missing):
        register.reads.append((NOTHING, call))
    elif isinstance(answer, Unchanged):
        register.reads.append((_named(values, key, call.token), call))


def _take_write(register: _Register, call: Call, expected: str) -> None:
    assert call.body is not None
    value = _value(call.body)
    register.writes.setdefault(value, []).append(call)
    if isinstance(call.answer, Rejected):
        register.refusals.append((expected, call))
    elif register.parents.setdefault(value, expected) != expected:
        register.fail(f"{value} was sent on two different values")


def _take_listing(
    registers: dict[str, _Register], call: Call, values: dict[tuple[str, Token], str]
) -> None:
    """A page is a read of each key below its prefix, as if by itself; a version that no client
    ever got to see says nothing."""
    if not isinstance(call.answer, Page) or call.answer.after is not None:
        return
    rows: dict[str, Token] = {row.key: row.token for row in call.answer.rows}
    for key, register in registers.items():
        token = rows.get(key)
        if key.startswith(call.key) and (token is None or (key, token) in values):
            register.reads.append((_named(values, key, token), call))
