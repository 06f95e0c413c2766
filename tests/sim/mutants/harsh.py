"""Engines that break where files are large, where others write in the bucket, on a bad disk."""

from __future__ import annotations

import hashlib
from typing import Any

from swampd.domain.metadata import PayloadMark
from swampd.domain.planning import Absent
from swampd.domain.values import Epoch, Sha256, Wid
from swampd.ports import Unreadable
from swampd.syncing import background, large, requests, survey, uploading
from tests.sim.mutants.patching import patched
from tests.sim.tree import SimTree


def uploads_left() -> Any:
    """What a crash or a refusal leaves of an upload stays."""

    async def abort_left(_: Any, *__: Any) -> None:
        return

    return patched((large, "abort_left", abort_left), (background, "abort_left", abort_left))


def completed_without_compare() -> Any:
    """The sealed copy is not what it was, and its upload is completed all the same."""
    real_part, real_send = SimTree.sealed_part, large._Upload._send_parts

    def sealed_part(self: Any, body: Any, start: int, size: int) -> bytes:
        part = real_part(self, body, start, size)
        return part if start == 0 else b"?" * len(part)

    async def send_parts(self: Any, upload: Any, body: Any) -> Any:
        sent = await real_send(self, upload, body)
        self._digest = hashlib.sha256(real_part(self._sync.tree, body, 0, body.size))
        return sent

    return patched(
        (SimTree, "sealed_part", sealed_part), (large._Upload, "_send_parts", send_parts)
    )


def sealed_copies_left() -> Any:
    """Nobody removes the sealed copies of files that were read."""
    return patched((uploading.Uploader, "_drop_sealed", lambda *_: None))


def foreign_overwritten() -> Any:
    """An object without our mark is taken for an older one of ours."""
    real = requests.PlainKeys.look
    mark = PayloadMark(Wid("0" * 32), Epoch(1), Sha256("0" * 64))

    async def look(self: Any, path: Any) -> Any:
        found = await real(self, path)
        if found is None or found.mark is not None:
            return found
        return requests.Plain(found.token, mark)

    return patched((requests.PlainKeys, "look", look))


def unreadable_is_gone() -> Any:
    """What lies in a directory that cannot be read counts as deleted."""
    real = survey._rows

    def rows(*args: Any) -> Any:
        return (row for row in real(*args) if not isinstance(row, Unreadable))

    def look_for(_: Any, path: Any, __: Any, result: Any) -> None:
        result.changed[path] = Absent()

    return patched(
        (survey, "_rows", rows),
        (survey, "_look_for", look_for),
        (survey, "_believe", lambda *_: None),
    )
