"""The check of registers bites: on histories that no order explains, and on a store that lies."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from swampd.domain.outcomes import (
    Applied,
    Found,
    Listed,
    Missing,
    Page,
    Rejected,
    Unchanged,
    Unknown,
)
from swampd.domain.values import RemoteKey, Token
from swampd.stores.memory import MemoryObjects
from tests.sim import runs
from tests.sim.calls import NEVER, Call
from tests.sim.checks.registers import LIN, check_registers
from tests.sim.checks.violations import Violation
from tests.sim.mutants.patching import patched
from tests.sim.runs import simulate
from tests.sim.world import World

if TYPE_CHECKING:
    from collections.abc import Callable

KEY = RemoteKey("k")
SEEDS = 20


def write(value: str, on: str | None, asked: float, answered: float, answer: object = None) -> Call:
    """A write of a value on another; acknowledged unless said otherwise."""
    what = "replace" if on else "create"
    told = answer or Applied(Token(value))
    return Call("a", what, KEY, asked, value.encode(), Token(on) if on else None, answered, told)


def read(value: str | None, asked: float, answered: float) -> Call:
    """A read that found a value, or nothing."""
    found = Missing() if value is None else Found(Token(value), 1, {}, value.encode())
    return Call("b", "get", KEY, asked, None, None, answered, found)


def listing(value: str | None, asked: float, answered: float) -> Call:
    """A page that shows a value, or nothing."""
    rows = () if value is None else (Listed(KEY, Token(value), 1),)
    return Call("b", "list", "", asked, None, None, answered, Page(rows, None))


ONE = write("1", None, 0, 1)
TWO = write("2", "1", 2, 3)
LATE = write("2", "1", 2, 3, Unknown("no answer"))
CUT = write("2", "1", 2, NEVER, Unknown("gone"))
EXPLAINED = {
    "one after the other": [ONE, read("1", 1, 2), TWO, read("2", 3, 4)],
    "a read beside a write": [ONE, TWO, read("1", 2, 3), read("2", 2, 3)],
    "a write that lands late": [ONE, LATE, read("1", 8, 9), read("2", 9, 10)],
    "a write that never lands": [ONE, LATE, read("1", 900, 901)],
    "a resend is refused": [ONE, LATE, write("2", "1", 4, 5, Rejected()), read("2", 6, 7)],
    "refused by what nobody saw": [ONE, CUT, write("3", "1", 4, 5, Rejected())],
    "refused to create": [ONE, write("3", None, 0.5, 0.7, Rejected())],
    "listed": [listing(None, 0, 0.5), ONE, TWO, listing("1", 1, 2.5), listing("2", 3, 4)],
    "listed and seen by nobody else": [ONE, LATE, listing("2", 5, 6)],
}
BROKEN = {
    "a stale read": [ONE, TWO, read("1", 4, 5)],
    "a stale listing": [ONE, TWO, listing("1", 4, 5)],
    "it was there, and a listing lacks it": [ONE, listing(None, 2, 3)],
    "a conditional read that saw no change": [
        ONE,
        TWO,
        Call("b", "get?", KEY, 4, None, Token("1"), 5, Unchanged()),
    ],
    "back to what was before": [ONE, LATE, read("2", 4, 5), read("1", 6, 7)],
    "a lost update": [ONE, TWO, write("3", "1", 4, 5)],
    "two creations": [ONE, write("3", None, 4, 5)],
    "read before it was sent": [ONE, read("2", 1.1, 1.2), LATE],
    "gone": [ONE, read(None, 2, 3)],
    "from nowhere": [ONE, read("9", 2, 3)],
    "a refusal that was applied": [ONE, write("2", "1", 2, 3, Rejected()), read("2", 4, 5)],
    "refused for no reason": [ONE, write("2", "1", 2, 3, Rejected()), read("1", 4, 5)],
    "refused before it was there": [write("3", None, 0, 1, Rejected()), write("1", None, 2, 3)],
    "applied twice": [ONE, TWO, write("2", "1", 4, 5)],
    "sent on two values": [ONE, TWO, write("3", "1", 4, 5, Unknown("")), write("3", "2", 6, 7)],
    "a circle": [write("1", "2", 0, 1), write("2", "1", 2, 3)],
    "no condition": [Call("a", "put", KEY, 0, b"1", None, 1, Applied(Token("1")))],
}


@pytest.mark.parametrize("name", EXPLAINED)
def test_a_history_that_some_order_explains_passes(name: str) -> None:
    check_registers(EXPLAINED[name])


@pytest.mark.parametrize("name", BROKEN)
def test_a_history_that_no_order_explains_is_found(name: str) -> None:
    with pytest.raises(Violation, match=LIN):
        check_registers(BROKEN[name])


def stale_reads() -> Any:
    """Each seventh read of a lock or head shows the version before."""
    real_put, real_get = MemoryObjects.put, MemoryObjects.get_if_changed
    before: dict[Any, Any] = {}
    count = [0]

    def put(self: Any, key: Any, body: Any, metadata: Any) -> Any:
        before[id(self), key] = self.look(key)
        return real_put(self, key, body, metadata)

    def get(self: Any, key: Any, token: Any) -> Any:
        count[0] += 1
        old = before.get((id(self), key))
        if count[0] % 7 == 0 and old is not None:
            return Unchanged() if self.same(old.token, token) else old.found(body=True)
        return real_get(self, key, token)

    return patched((MemoryObjects, "put", put), (MemoryObjects, "get_if_changed", get))


def lost_updates() -> Any:
    """Each ninth condition is not looked at."""
    real = MemoryObjects.replace
    count = [0]

    def replace(self: Any, key: Any, body: Any, token: Any, metadata: Any) -> Any:
        count[0] += "_control" in key
        if count[0] % 9 == 0 and "_control" in key and self.look(key) is not None:
            return self.put(key, body, metadata)
        return real(self, key, body, token, metadata)

    return patched((MemoryObjects, "replace", replace))


@pytest.mark.timeout(120)
@pytest.mark.parametrize("broken", [stale_reads, lost_updates])
def test_a_store_that_lies_is_found_out_by_what_its_clients_saw(
    broken: Callable[[], Any],
) -> None:
    with broken():
        assert any(_no_order_explains(seed) for seed in range(SEEDS))


def _no_order_explains(seed: int) -> bool:
    """Of all that was asked until some check broke, if one did."""
    worlds: list[World] = []

    def world(*args: Any, **named: Any) -> World:
        worlds.append(World(*args, **named))
        return worlds[-1]

    with patched((runs, "World", world)):
        simulate(seed)
    try:
        check_registers(worlds[-1].network.calls.all)
    except Violation as violation:
        return violation.invariant == LIN
    return False
