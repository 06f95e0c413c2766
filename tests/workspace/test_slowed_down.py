"""A store that asks to wait before anything more is sent (Retry-After) is left alone so long."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from swampd.domain.outcomes import Unknown
from swampd.domain.values import Scope
from swampd.syncing.mirroring import TRIES
from tests.workspace.outages import OPERATIONS, Desk, now, scenario

if TYPE_CHECKING:
    from collections.abc import Callable

ASKED_S = 5.0
SCOPE = Scope("d")


class Slowed:
    """The line of a desk on which some writes are answered with SlowDown, and do not land."""

    def __init__(self, a: Desk, operation: str, part: str, times: int = 1) -> None:
        self._of = (operation, part)
        self.left = times
        self.answered: list[float] = []
        self.sent: list[tuple[float, str, str]] = []
        for name in OPERATIONS:
            setattr(a.life.store, name, self._through(name, getattr(a.life.store, name)))

    def _through(self, name: str, real: Any) -> Any:
        async def request(key: Any, *args: Any, **kwargs: Any) -> Any:
            operation, part = self._of
            if "/locks/" not in key:
                self.sent.append((now(), name, key))
            if self.left and name == operation and part in key:
                self.left -= 1
                self.answered.append(now())
                return Unknown("SlowDown: reduce your request rate", ASKED_S)
            return await real(key, *args, **kwargs)

        return request

    def check(self) -> None:
        """Nothing was sent before the store wanted it."""
        assert self.answered
        for at in self.answered:
            early = [one for one in self.sent if at < one[0] < at + 0.99 * ASKED_S]
            assert early == []


CASES = {
    "a new file": ("create", "d/f", lambda a: a.write("d/f", b"new")),
    "a staged copy": ("create", "/staged/", lambda a: a.write("d/old", b"x" * 20_000)),
    "its plain key": ("replace", "d/old", lambda a: a.write("d/old", b"x" * 20_000)),
    "a delete": ("delete", "d/old", lambda a: a.node.tree.delete("d/old")),
    "the head": ("replace", "/heads/", lambda a: a.write("d/f", b"new")),
    "a manifest": (
        "create",
        "/manifests/",
        lambda a: [a.write(f"d/{number:04}", b"x") for number in range(200)],
    ),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_a_write_that_is_slowed_down_is_sent_again_when_the_store_wants_it(
    case: tuple[str, str, Callable[[Desk], None]],
) -> None:
    async def play(a: Desk, b: Desk) -> None:
        operation, part, change = case
        a.write("d/old", b"old")
        a.write("d/kept", b"kept")
        await a.push()
        if operation == "delete" and a.life.store.capabilities.conditional_delete:
            operation = "delete_if"
        slowed = Slowed(a, operation, part)
        change(a)
        done = await a.push()
        assert done.done[SCOPE].mirror_pending == 0
        slowed.check()
        await b.pull()
        assert b.node.tree.files() == a.node.tree.files()

    scenario(play, 2)


def test_a_mirror_leaves_off_when_the_store_goes_on_asking_for_time() -> None:
    async def play(a: Desk) -> None:
        files = [f"d/{number:04}" for number in range(30)]
        for path in files:
            a.write(path, b"old")
        await a.push()
        slowed = Slowed(a, "replace", "d/0", times=1000)
        for path in files:
            a.write(path, b"new")
        began = now()
        done = await a.push()
        assert done.done[SCOPE].mirror_pending == len(files)
        assert len(slowed.answered) == TRIES
        assert now() - began < 2 * TRIES * ASKED_S
        slowed.check()

    scenario(play)
