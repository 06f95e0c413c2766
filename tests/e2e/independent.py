"""A reader of a datastore that shares no code with the engine: what the specification says of
heads, manifests, redo copies and children, read once more from scratch.

It reads through two functions, so that any store will do, and checks each content against its
digest.  While others write, a head that changed under the reader is read again.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

CONTROL: Final = "_control/swampd/"
TRIES: Final = 20


class Unreadable(AssertionError):
    """What the datastore says cannot be read from it."""


class IndependentReader:
    """Reads every committed file; `find` gives an object's bytes, `keys` all keys that begin so."""

    def __init__(
        self, find: Callable[[str], bytes | None], keys: Callable[[str], list[str]]
    ) -> None:
        self._find = find
        self._keys = keys

    def files(self) -> dict[str, bytes]:
        """Path -> content of everything that is committed now."""
        found: dict[str, bytes] = {}
        heads = {self._scope(key): key for key in self._keys(f"{CONTROL}heads/")}
        for scope, key in heads.items():
            found |= self._read_again(scope, key, heads)
        return found

    def unnamed(self) -> list[str]:
        """Objects that no head names: what `compact` is for."""
        heads = [self._load(key) for key in self._keys(f"{CONTROL}heads/")]
        named = {f"{CONTROL}layout.json"}
        for head in heads:
            wids = [part["wid"] for part in head["manifests"]]
            wids += [c["pending"] for c in head["children"].values() if self._is_wid(c["pending"])]
            named.update(f"{CONTROL}manifests/{wid}.json.gz" for wid in wids)
            for path, row in self._rows(head).items():
                named.add(path)
                staged = (row.get("redo") or {}).get("staged")
                if staged:
                    named.add(f"{CONTROL}staged/{staged}")
        areas = (f"{CONTROL}heads/", f"{CONTROL}locks/")
        return [k for k in self._keys("") if k not in named and not k.startswith(areas)]

    # --- one scope ----------------------------------------------------------------------------

    def _read_again(self, scope: str, key: str, heads: dict[str, str]) -> dict[str, bytes]:
        """Read a scope until what was read is the head's still."""
        why = ""
        for _ in range(TRIES):
            raw = self._find(key)
            try:
                return dict(self._contents(json.loads(raw or b"null"), heads))
            except Unreadable as problem:
                why = str(problem)
                if self._find(key) == raw:
                    raise
        raise Unreadable(f"{scope} changes all the time: {why}")

    def _contents(self, head: dict[str, Any], heads: dict[str, str]) -> Iterator[tuple[str, bytes]]:
        for path, row in self._rows(head).items():
            if not row.get("gone"):
                yield path, self._content(path, row)
        for child, state in head["children"].items():
            if child not in heads and self._is_wid(state["pending"]):
                for path, row in self._manifest(state["pending"]).items():
                    if not row.get("gone"):
                        yield path, self._content(path, row)

    def _rows(self, head: dict[str, Any]) -> dict[str, dict[str, Any]]:
        """The newest row of each path that this head speaks for."""
        rows: dict[str, dict[str, Any]] = {}
        for part in reversed(head["manifests"]):
            rows |= self._manifest(part["wid"])
        rows |= head["delta"]
        below = tuple(f"{child}/" for child in head["children"])
        return {path: row for path, row in rows.items() if not path.startswith(below)}

    def _manifest(self, wid: str) -> dict[str, dict[str, Any]]:
        raw = self._find(f"{CONTROL}manifests/{wid}.json.gz")
        if raw is None:
            raise Unreadable(f"there is no manifest {wid}")
        entries: dict[str, dict[str, Any]] = json.loads(gzip.decompress(raw))["entries"]
        return entries

    def _content(self, path: str, row: dict[str, Any]) -> bytes:
        redo = row.get("redo") or {}
        if redo.get("inline") is not None:
            raw: bytes | None = base64.b64decode(redo["inline"])
        elif redo.get("staged"):
            raw = self._find(f"{CONTROL}staged/{redo['staged']}")
        else:
            raw = self._find(path)
        if raw is None:
            raise Unreadable(f"{path}: its content is not there ({row})")
        if hashlib.sha256(raw).hexdigest() != row["sha256"] or len(raw) != row["size"]:
            raise Unreadable(f"{path}: its content is another ({row})")
        return raw

    # --- bytes --------------------------------------------------------------------------------

    def _load(self, key: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self._find(key) or b"null")
        return found

    @staticmethod
    def _scope(key: str) -> str:
        return unquote(key.rpartition("/")[2].removesuffix(".json"))

    @staticmethod
    def _is_wid(pending: object) -> bool:
        return isinstance(pending, str)
