"""A cache directory in memory: `ports.FileTree` for the simulator, and a user at its keyboard.

Keeps true what a Linux file system keeps, and no more:
- Timestamps come from a virtual clock in coarse steps, and a freed inode number is given out again
  at once: two versions of a file may have the same stamp (section 5, racy writes).
- `before_step` is called before every primitive operation with a line such as `exchange data/x`.
  It may play the user, or raise: an exception that is no `Exception` is the death of the process,
  and what was done so far stays.
- A power cut (`crash(lose=True)`) undoes a whole suffix of the name changes since the last
  `sync()`; a file whose bytes were not synced has its last synced bytes, or none.  The marker is
  durable when `write_marker` returns, and nothing else is by that.
- A directory in `unreadable` cannot be listed or entered; a file there cannot be opened.
- On a full disk nothing is created or written; a rename may need a block of the directory.
- The root may be away (`attached`), or another directory in its place (`displace`): whoever has it
  open goes on in the old one, until it is opened again.

Limits: no umask, no directory timestamps, one file system.
Deterministic: dicts only, no clock and no chance of its own.  Not thread-safe, and need not be.
"""

from __future__ import annotations

import errno
import hashlib
import os
from contextlib import contextmanager
from itertools import groupby
from typing import TYPE_CHECKING, Final

from swampd.cache.conflicts import conflict_place
from swampd.cache.opening import NOT_THERE
from swampd.cache.problems import place_problem
from swampd.domain.sizes import SIZES
from swampd.domain.values import Sha256
from swampd.ports import (
    Above,
    FileRead,
    Kind,
    NotUtf8,
    PlaceProblem,
    ReadProblem,
    ScanRow,
    Scratch,
    SealedFile,
    Seen,
    Stamp,
    Unreadable,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from swampd.domain.values import CachePath
    from swampd.ports import Body, Sink

GRANULE_NS: Final = 4_000_000
_LONGEST_NAME: Final = 255
_DEVICE: Final = 1
_PRIVATE: Final = ".swampd"
_CONFLICTS: Final = f"{_PRIVATE}/conflicts"


class Node:
    """An inode.  `entries` is for directories; `saved` is what a power cut leaves of a file."""

    __slots__ = ("ctime", "data", "entries", "ino", "kind", "links", "mtime", "saved", "x")

    def __init__(self, kind: Kind, ino: int, now: int) -> None:
        """An empty inode that has no name yet."""
        self.kind = kind
        self.ino = ino
        self.data = b""
        self.x = False
        self.mtime = self.ctime = now
        self.links = 0
        self.entries: dict[str, Node] = {}
        self.saved: tuple[bytes, bool, int] = (b"", False, now)


Backup = tuple[Kind, bytes, bool, int, "dict[str, Backup]"]
"""What `cp -a` keeps of an inode: kind, bytes, execute bit, mtime, entries."""
_Change = tuple[Node, str, Node | None]
"""In this directory this name is now that inode (None: nothing)."""


def _error(code: int, path: str) -> OSError:
    return OSError(code, os.strerror(code), path)


def _split(path: str) -> tuple[str, str]:
    parent, _, name = path.rpartition("/")
    return parent, name


class Disk:
    """Inodes and names, what users do to them, what a power cut undoes."""

    def __init__(self, clock_ns: Callable[[], int], granule_ns: int) -> None:
        """An empty directory."""
        self._clock_ns = clock_ns
        self._granule_ns = granule_ns
        self._next_ino = 2
        self._free: dict[int, None] = {}
        self._undo: list[tuple[_Change, ...]] = []
        self._dirty: dict[int, Node] = {}
        self._home = self._root = self._at_path = Node(Kind.DIRECTORY, 1, 0)
        self.before_step: Callable[[str], None] | None = None
        self.no_space = False
        self.full_directories = False
        """On the full disk a name needs a new block, too."""
        self.unreadable: set[str] = set()
        self.attached = True
        """False: the root was removed or its disk unmounted under the daemon."""
        self.changes = 0
        """Raised with every change of a name or of bytes, for whoever watches."""

    # --- what users do (no step is reported) ------------------------------------------------

    def write(self, path: str, data: bytes, *, x: bool = False) -> None:
        """Save as editors do: a new inode renamed over the name; parents are made."""
        node = self._new(Kind.FILE)
        node.x = x
        self._fill(node, data)
        self._put(path, node)

    def edit(self, path: str, data: bytes, *, mtime_ns: int | None = None) -> None:
        """Write into the same inode; with `mtime_ns` set the mtime too, as rsync does."""
        node = self._existing(path)
        self._fill(node, data)
        if mtime_ns is not None:
            node.mtime = mtime_ns

    def rename(self, source: str, target: str) -> None:
        """`mv -T`: over a file if there is one; parents of the target are made."""
        node = self._existing(source)
        if source == target:
            return
        self._put(target, node)
        parent, base = _split(source)
        self._apply((self._directory(parent), base, None))
        self._undo[-2:] = [self._undo[-2] + self._undo[-1]]
        node.ctime = self._now()

    def link(self, source: str, target: str) -> None:
        """A second name for a file."""
        self._put(target, self._existing(source))

    def delete(self, path: str) -> None:
        """`rm -rf` of one name that is there."""
        self._existing(path)
        parent, base = _split(path)
        self._apply((self._directory(parent), base, None))

    def mkdir(self, path: str) -> None:
        """`mkdir -p`."""
        self._directory(path, make=True)

    def rmdir(self, path: str) -> None:
        """`rm -r` of a directory."""
        if self._existing(path).kind is not Kind.DIRECTORY:
            raise _error(errno.ENOTDIR, path)
        self.delete(path)

    def chmod(self, path: str, *, x: bool) -> None:
        """Set or take the execute bit."""
        node = self._existing(path)
        node.x, node.ctime = x, self._now()
        self._dirty[id(node)] = node

    def special(self, path: str, kind: Kind) -> None:
        """A symlink or fifo at this name."""
        self._put(path, self._new(kind))

    def fsync(self, path: str) -> None:
        """A user's fsync: this file's bytes and, as a journal does, all names so far."""
        node = self._existing(path)
        self._save(node)
        self._dirty.pop(id(node), None)
        self._undo.clear()

    def files(self) -> dict[str, bytes]:
        """What a user sees: the bytes of each file outside the private area."""
        found: dict[str, bytes] = {}
        for name, node in self._root.entries.items():
            if node.kind is Kind.FILE:
                found[name] = node.data
            elif name != _PRIVATE:
                _add_files(node, name, found)
        return found

    def private_files(self) -> dict[str, bytes]:
        """The bytes of each file below `.swampd/`, by its place relative to the root."""
        found: dict[str, bytes] = {}
        private = self._root.entries.get(_PRIVATE)
        if private is not None:
            _add_files(private, _PRIVATE, found)
        return found

    def snapshot(self) -> Backup:
        """`cp -a` of the whole cache, private area and marker included."""
        return _backup(self._root)

    def restore(self, backup: Backup) -> None:
        """Replace everything by a backup: new inodes, old mtimes; on disk when this returns."""
        self._root.entries = self._restored(backup).entries
        self._settle_disk()

    def wipe(self) -> None:
        """Remove everything, private area and marker included; on disk when this returns."""
        self._root.entries = {}
        self._settle_disk()

    # --- faults -----------------------------------------------------------------------------

    def displace(self) -> None:
        """The root is moved away, and another, empty directory stands in its place."""
        self._at_path = Node(Kind.DIRECTORY, 1, 0)

    def put_back(self) -> None:
        """The root is in its place again."""
        self._at_path = self._home

    def reopen(self) -> None:
        """Somebody opens the root by its path."""
        self.changes += self._root is not self._at_path
        self._root = self._at_path

    @property
    def is_in_place(self) -> bool:
        """Is the root there, and for all the one that was there from the beginning?"""
        return self.attached and self._root is self._at_path is self._home

    def mend(self) -> None:
        """All is well with the disk again."""
        self.no_space = self.full_directories = False
        self.attached = True
        self.unreadable.clear()
        self.put_back()

    def crash(self, *, lose: bool, kept: int = 0) -> None:
        """The daemon dies; with `lose` the machine does too.

        Of the name changes since the last `sync()` the first `kept` survive a power cut.
        """
        if not lose:
            return
        self.changes += 1
        while len(self._undo) > kept:
            changes = self._undo.pop()
            self._set(*reversed(changes))
        for node in self._dirty.values():
            node.data, node.x, node.mtime = node.saved
            node.ctime = self._now()
        self._undo.clear()
        self._dirty.clear()

    @property
    def unsynced(self) -> int:
        """How many name changes a power cut could undo now."""
        return len(self._undo)

    @property
    def unsaved(self) -> int:
        """How many files a power cut would take back to earlier bytes now."""
        return len(self._dirty)

    # --- inside -----------------------------------------------------------------------------

    def _step(self, operation: str, path: str = "") -> None:
        if self.before_step is not None:
            self.before_step(f"{operation} {path}" if path else operation)

    def _now(self) -> int:
        return self._clock_ns() // self._granule_ns * self._granule_ns

    def _new(self, kind: Kind) -> Node:
        if self._free:
            ino, _ = self._free.popitem()
        else:
            ino, self._next_ino = self._next_ino, self._next_ino + 1
        return Node(kind, ino, self._now())

    def _fill(self, node: Node, data: bytes) -> None:
        self._room("")
        self.changes += 1
        node.data = data
        node.mtime = node.ctime = self._now()
        self._dirty[id(node)] = node

    def _room(self, name: str) -> None:
        if self.no_space:
            raise _error(errno.ENOSPC, name)

    @staticmethod
    def _save(node: Node) -> None:
        node.saved = (node.data, node.x, node.mtime)

    def _settle_disk(self) -> None:
        self.changes += 1
        self._undo.clear()
        self._dirty.clear()
        for _, node in self._all(self._root, ""):
            self._save(node)

    def _enter(self, path: str) -> None:
        """Raise EACCES where `path` or a directory above it is unreadable."""
        if not self.unreadable:
            return
        at = path
        while True:
            if at in self.unreadable:
                raise _error(errno.EACCES, at)
            if not at:
                return
            at = _split(at)[0]

    def _directory(self, path: str, *, make: bool = False) -> Node:
        if not self.attached:
            raise _error(errno.ENOENT, path)
        self._enter(path)
        node, so_far = self._root, ""
        for segment in path.split("/") if path else ():
            if segment in {"", ".", ".."} or "\0" in segment:
                raise _error(errno.EINVAL, path)
            so_far = f"{so_far}/{segment}" if so_far else segment
            child = node.entries.get(segment)
            if child is None and make:
                child = self._new(Kind.DIRECTORY)
                self._apply((node, segment, child))
            if child is None:
                raise _error(errno.ENOENT, so_far)
            if child.kind is not Kind.DIRECTORY:
                raise _error(errno.ENOTDIR, so_far)
            node = child
        return node

    def _make_parent(self, path: str) -> tuple[Node, str]:
        parent, base = _split(path)
        _check_name(base)
        try:
            return self._directory(parent), base
        except FileNotFoundError:
            self._step("mkdir", parent)
            self._room(parent)
            return self._directory(parent, make=True), base

    def _find(self, path: str) -> Node | None:
        if not path:
            return self._root if self.attached else None
        parent, base = _split(path)
        try:
            _check_name(base)
            return self._directory(parent).entries.get(base)
        except OSError as error:
            if error.errno not in NOT_THERE:
                raise
            return None

    def _existing(self, path: str) -> Node:
        parent, base = _split(path)
        node = self._directory(parent).entries.get(base)
        if node is None:
            raise _error(errno.ENOENT, path)
        return node

    def _put(self, path: str, node: Node) -> None:
        parent, base = _split(path)
        _check_name(base)
        directory = self._directory(parent, make=True)
        there = directory.entries.get(base)
        if there is not None and there.kind is Kind.DIRECTORY:
            raise _error(errno.EISDIR, path)
        self._apply((directory, base, node))

    def _move(self, *changes: _Change) -> None:
        now = self._now()
        for _, _, node in changes:
            if node is not None:
                node.ctime = now
        self._apply(*changes)

    def _apply(self, *changes: _Change) -> None:
        """Change names as one operation that a power cut undoes whole."""
        self._undo.append(
            tuple((directory, name, directory.entries.get(name)) for directory, name, _ in changes)
        )
        self._set(*changes)

    def _set(self, *changes: _Change) -> None:
        self.changes += 1
        dropped = []
        for directory, name, node in changes:
            before = directory.entries.pop(name, None)
            if before is not None:
                before.links -= 1
                dropped.append(before)
            if node is not None:
                directory.entries[name] = node
                node.links += 1
                self._free.pop(node.ino, None)
        for node in dropped:
            if node.links == 0:
                self._free[node.ino] = None

    def _all(self, directory: Node, within: str) -> Iterator[tuple[str, Node]]:
        for name, node in directory.entries.items():
            path = f"{within}{name}"
            yield path, node
            if node.entries:
                yield from self._all(node, f"{path}/")

    def _restored(self, backup: Backup) -> Node:
        kind, data, x, mtime, entries = backup
        node = self._new(kind)
        node.data, node.x, node.mtime, node.links = data, x, mtime, 1
        for name, child in entries.items():
            node.entries[name] = self._restored(child)
        return node


class SimTree(Disk):
    """The port over such a disk."""

    def __init__(
        self,
        clock_ns: Callable[[], int],
        *,
        exchange_supported: bool = True,
        granule_ns: int = GRANULE_NS,
        seal_above: int = SIZES.stream_above,
    ) -> None:
        """An empty cache; `clock_ns` is the virtual clock in nanoseconds; bodies of more bytes
        than `seal_above` are handed out as sealed copies."""
        super().__init__(clock_ns, granule_ns)
        self._seal_above = seal_above
        self._seals = 0
        self._exchange_supported = exchange_supported
        for name in ("tmp", "trash", "conflicts"):
            self._area(name)

    # --- the port: looking ------------------------------------------------------------------

    @property
    def exchange_supported(self) -> bool:
        """Whether `exchange` is one step."""
        return self._exchange_supported

    @exchange_supported.setter
    def exchange_supported(self, supported: bool) -> None:
        self._exchange_supported = supported

    @property
    def folds_names(self) -> bool:
        """Its names are told apart."""
        return False

    def present(self) -> bool:
        """Is the root there, and the one that was opened?"""
        return self.attached and self._root is self._at_path

    def marker(self) -> bytes | None:
        """The marker's bytes."""
        self._step("marker")
        node = self._find(f"{_PRIVATE}/cache-id")
        return node.data if node and node.kind is Kind.FILE else None

    def write_marker(self, content: bytes) -> None:
        """Replace the marker at once and durably; no other name becomes durable by it."""
        self._step("write_marker")
        if self.no_space:
            raise _error(errno.ENOSPC, f"{_PRIVATE}/cache-id")
        node = self._new(Kind.FILE)
        node.data, node.links = content, 1
        self._save(node)
        self._area("").entries["cache-id"] = node

    def scan(self, under: str, prune: Callable[[str], bool]) -> Iterator[ScanRow]:
        """All names below `under`, each directory listed when its turn comes."""
        if not self.attached:
            yield Unreadable(under, "the root of the cache was removed")
            return
        todo = [under]
        while todo:
            path = todo.pop()
            self._step("readdir", path)
            try:
                node = self._find(path)
                if node is None or node.kind is not Kind.DIRECTORY:
                    if node is not None:
                        yield _seen(path, node)
                    continue
                self._enter(path)
            except OSError as error:
                yield Unreadable(path, error.strerror or "")
                continue
            for name in list(node.entries):
                yield from self._scan_name(node, path, name, prune, todo)

    def _scan_name(
        self, parent: Node, within: str, name: str, prune: Callable[[str], bool], todo: list[str]
    ) -> Iterator[ScanRow]:
        path = f"{within}/{name}" if within else name
        if path == _PRIVATE:
            return
        if not _is_utf8(name):
            yield NotUtf8(path.encode(errors="surrogateescape").decode(errors="backslashreplace"))
            return
        if prune(path):
            return
        self._step("lstat", path)
        node = parent.entries.get(name)
        if node is None:
            return
        if node.kind is Kind.DIRECTORY:
            todo.append(path)
        else:
            yield _seen(path, node)

    def children(self, under: str) -> Sequence[Seen]:
        """The names directly in a directory."""
        self._step("readdir", under)
        node = self._find(under)
        if node is None or node.kind is not Kind.DIRECTORY:
            return []
        self._enter(under)
        return [
            _seen(f"{under}/{name}" if under else name, child)
            for name, child in node.entries.items()
            if (under or name != _PRIVATE) and _is_utf8(name)
        ]

    def stat(self, path: str) -> Seen | None:
        """lstat of one name."""
        self._step("lstat", path)
        return self._stat(path, path)

    def above(self, path: str) -> Above:
        """The deepest name on the way to a path."""
        deepest = Above("", Kind.DIRECTORY, _DEVICE)
        parts = path.split("/")
        for depth in range(1, len(parts)):
            within = "/".join(parts[:depth])
            node = self._find(within) if deepest.kind is Kind.DIRECTORY else None
            if node is None:
                break
            deepest = Above(within, node.kind, _DEVICE)
        return deepest

    def now_ns(self) -> int:
        """The timestamp that a file touched now would get."""
        self._step("touch")
        return self._now()

    def read(self, path: CachePath, *, keep: bool) -> FileRead | ReadProblem:
        """Read a file in two halves; a user may write between them."""
        return self._read(path, keep=keep)

    def read_each(
        self, paths: Iterable[CachePath], *, keep: bool
    ) -> Iterator[FileRead | ReadProblem]:
        """Read files, each directory opened once; a user may move it away meanwhile."""
        for above, group in groupby(paths, lambda path: _split(path)[0]):
            inside = list(group)
            try:
                directory = self._directory(above) if len(inside) > 1 else None
            except OSError:
                directory = None
            if directory is None:
                yield from (self._read(path, keep=keep) for path in inside)
                continue
            found = [self._read(path, keep=keep, inside=directory) for path in inside]
            self._step("look", above)
            if (self._find(above) if above else self._root) is directory:
                yield from found
            else:
                yield from (self._read(path, keep=keep) for path in inside)

    def _read(self, path: str, *, keep: bool, inside: Node | None = None) -> FileRead | ReadProblem:
        """A file at a path, or in a directory that was open before it may have been moved."""

        def find() -> Node | None:
            return self._find(path) if inside is None else inside.entries.get(_split(path)[1])

        self._step("open", path)
        try:
            node = find()
            self._enter(path)
        except OSError:
            return ReadProblem.UNREADABLE
        if not path:
            return ReadProblem.UNREADABLE
        if node is None:
            return ReadProblem.GONE
        if node.kind is not Kind.FILE:
            return ReadProblem.NOT_A_FILE
        stamp = _stamp(node)
        half = len(node.data) // 2
        self._step("read", path)
        body = node.data[:half]
        self._step("read", path)
        body += node.data[half:]
        self._step("look", path)
        if find() is not node or _stamp(node) != stamp or len(body) != stamp.size:
            return ReadProblem.BUSY
        digest = Sha256(hashlib.sha256(body).hexdigest())
        return FileRead(stamp, digest, self._kept(body, digest) if keep else None)

    def _kept(self, body: bytes, digest: Sha256) -> Body:
        if len(body) <= self._seal_above:
            return body
        self._seals += 1
        name = f"sealed-{self._seals}"
        with self.write_tmp(name, x=False) as sink:
            sink(body)
        return self.seal_tmp(name, len(body), digest)

    def stat_tmp(self, name: str) -> Seen | None:
        """lstat of `tmp/<name>`."""
        return self._stat(f"{_PRIVATE}/tmp/{name}", f"tmp/{name}")

    def hash_tmp(self, name: str) -> FileRead | ReadProblem:
        """Read and hash `tmp/<name>`."""
        return self._read(f"{_PRIVATE}/tmp/{name}", keep=False)

    def hash_trash(self, name: str) -> FileRead | ReadProblem:
        """Read and hash `trash/<name>`."""
        return self._read(f"{_PRIVATE}/trash/{name}", keep=False)

    def seal_tmp(self, name: str, size: int, sha256: Sha256) -> SealedFile:
        """What is in `tmp/`, by its name there."""
        return SealedFile(name, size, sha256)

    def sealed_part(self, body: SealedFile, start: int, size: int) -> bytes:
        """A piece of it."""
        return bytes(self._private("tmp", body.location).data[start : start + size])

    def drop_sealed(self, body: SealedFile) -> None:
        """Remove it."""
        self.drop_tmp(body.location)

    def read_conflict(self, place: str) -> FileRead | ReadProblem:
        """Read a conflict copy whole."""
        if not place.startswith(f"{_CONFLICTS}/"):
            raise ValueError(place)
        return self._read(place, keep=True)

    def trash(self) -> Sequence[str]:
        """The names in `trash/`."""
        return list(self._area("trash").entries)

    def free_bytes(self) -> int:
        """Nothing when `no_space`, else plenty."""
        return 0 if self.no_space else 1 << 40

    # --- the port: writing ------------------------------------------------------------------

    @contextmanager
    def write_tmp(self, name: str, *, x: bool) -> Iterator[Sink]:
        """A new file in `tmp/`; it stays when the process dies in the middle."""
        self._step("create", f"tmp/{name}")
        self._room(name)
        tmp = self._area("tmp")
        node = self._new(Kind.FILE)
        node.x = x
        self._apply((tmp, name, node))

        def sink(chunk: bytes) -> None:
            self._step("write", f"tmp/{name}")
            self._room(name)
            self._fill(node, node.data + chunk)

        try:
            yield sink
        except Exception:
            self.drop_tmp(name)
            raise

    def finish_tmp(self, name: str, mtime_ns: int) -> Stamp:
        """Give `tmp/<name>` its mtime."""
        self._step("utime", f"tmp/{name}")
        node = self._private("tmp", name)
        node.mtime, node.ctime = mtime_ns, self._now()
        self._dirty[id(node)] = node
        return _stamp(node)

    def write_each_tmp(self, files: Iterable[Scratch]) -> Iterator[Stamp]:
        """Write and date each."""
        for file in files:
            with self.write_tmp(file.name, x=file.x) as sink:
                sink(file.data)
            yield self.finish_tmp(file.name, file.mtime_ns)

    def drop_tmp(self, name: str) -> None:
        """Remove `tmp/<name>` if it is there."""
        self._drop("tmp", name)

    def clear_tmp(self, keep: Iterable[str]) -> None:
        """Remove the files of `tmp/` that are not named; `<name>.old` belongs to `<name>`.

        What an interrupted `exchange` moved aside may be a user's bytes: it goes to the trash.
        """
        kept = set(keep)
        for name, node in list(self._area("tmp").entries.items()):
            if name in kept or name.removesuffix(".old") in kept or node.kind is Kind.DIRECTORY:
                continue
            if name.endswith(".old"):
                self.tmp_to_trash(name)
            else:
                self.drop_tmp(name)

    def drop_trash(self, name: str) -> None:
        """Remove `trash/<name>` if it is there."""
        self._drop("trash", name)

    def sync(self) -> None:
        """From here on a power cut takes nothing back that was done before."""
        self._step("sync")
        self._undo.clear()
        for node in self._dirty.values():
            self._save(node)
        self._dirty.clear()

    def place_new(self, name: str, path: CachePath) -> PlaceProblem | None:
        """Rename to a free name, making parents."""
        source = self._private("tmp", name)
        try:
            self._make_parent(path)
            self._step("rename_new", path)
            # Made again if a user removed it just now, as the real tree does.
            parent, base = self._make_parent(path)
            if self.full_directories:
                self._room(path)
            there = parent.entries.get(base)
            if there is not None:
                code = errno.EISDIR if there.kind is Kind.DIRECTORY else errno.EEXIST
                raise _error(code, path)
            self._move((self._area("tmp"), name, None), (parent, base, source))
        except FileNotFoundError:
            # The root itself is gone.
            return PlaceProblem.BLOCKED
        except OSError as error:
            return place_problem(error)
        return None

    def exchange(self, name: str, path: CachePath) -> PlaceProblem | None:
        """Exchange in one step, or in three where the file system cannot."""
        if f"{name}.old" not in self._area("tmp").entries:
            self._private("tmp", name)
        try:
            if self._exchange_supported:
                self._step("exchange", path)
                source = self._private("tmp", name)
                parent, base, there = self._taken(path)
                self._move((self._area("tmp"), name, there), (parent, base, source))
            else:
                self._exchange_in_steps(name, path)
        except OSError as error:
            return place_problem(error)
        return None

    def _exchange_in_steps(self, name: str, path: CachePath) -> None:
        """Current aside, link, unlink, finish; one that was cut off goes on where it stopped."""
        tmp, aside = self._area("tmp"), f"{name}.old"
        if aside not in tmp.entries:
            self._step("move_aside", path)
            parent, base, there = self._taken(path)
            self._move((parent, base, None), (tmp, aside, there))
        source = tmp.entries.get(name)
        if source is not None:
            self._step("link", path)
            parent, base = self._directory(_split(path)[0]), _split(path)[1]
            if parent.entries.get(base, source) is not source:
                self.tmp_to_conflicts(aside, path)
                raise _error(errno.EEXIST, path)
            if base not in parent.entries:
                self._move((parent, base, source))
            self._step("unlink", f"tmp/{name}")
            self._move((tmp, name, None))
        self._step("finish", path)
        self._move((tmp, name, tmp.entries[aside]), (tmp, aside, None))

    def move_to_tmp(self, path: CachePath, name: str) -> PlaceProblem | None:
        """Move a file or link away."""
        try:
            self._step("move_away", path)
            parent, base, there = self._taken(path)
            tmp = self._area("tmp")
            _refuse_taken(tmp, name)
            self._move((parent, base, None), (tmp, name, there))
        except FileExistsError:
            raise
        except OSError as error:
            return place_problem(error)
        return None

    def tmp_to_trash(self, name: str) -> None:
        """Rename to `trash/<name>`."""
        self._step("rename_new", f"trash/{name}")
        node = self._private("tmp", name)
        trash = self._area("trash")
        _refuse_taken(trash, name)
        if self.full_directories:
            self._room(f"trash/{name}")
        self._move((self._area("tmp"), name, None), (trash, name, node))

    def tmp_to_conflicts(self, name: str, path: CachePath) -> str:
        """Keep as a conflict copy."""
        return self._to_conflicts("tmp", name, path)

    def trash_to_conflicts(self, name: str, path: CachePath) -> str:
        """Keep as a conflict copy."""
        return self._to_conflicts("trash", name, path)

    def _to_conflicts(self, area: str, name: str, path: str) -> str:
        node = self._private(area, name)
        self._area("conflicts")
        taken = blocked = 0
        while True:
            place = f"{_CONFLICTS}/{conflict_place(path, taken=taken, blocked=blocked)}"
            try:
                parent, base = self._make_parent(place)
            except NotADirectoryError:
                blocked += 1
                continue
            if base not in parent.entries:
                break
            taken += 1
        if self.full_directories:
            self._room(place)
        self._step("rename_new", place)
        self._move((self._area(area), name, None), (parent, base, node))
        return place

    def drop_conflict(self, place: str) -> None:
        """Remove a conflict copy and its empty parents."""
        if not place.startswith(f"{_CONFLICTS}/"):
            raise ValueError(place)
        self._step("unlink", place)
        node = self._find(place)
        if node is not None and node.kind is not Kind.DIRECTORY:
            parent, base = _split(place)
            self._apply((self._directory(parent), base, None))
        self._prune(place, depth=2)

    def prune_empty(self, path: CachePath) -> None:
        """Remove empty parents below the top level."""
        self._prune(path, depth=1)

    # --- inside -----------------------------------------------------------------------------

    def _area(self, area: str) -> Node:
        """A directory of the private area; it is there again at once when a user removed it."""
        if not self.attached:
            raise _error(errno.ENOENT, area)
        node = self._root
        for segment in (_PRIVATE, area) if area else (_PRIVATE,):
            child = node.entries.get(segment)
            if child is None:
                # Not undone by a power cut: a real tree makes it again when it is needed.
                child = node.entries[segment] = self._new(Kind.DIRECTORY)
                child.links = 1
            node = child
        return node

    def _private(self, area: str, name: str) -> Node:
        node = self._area(area).entries.get(name)
        if node is None:
            raise _error(errno.ENOENT, f"{area}/{name}")
        return node

    def _drop(self, area: str, name: str) -> None:
        self._step("unlink", f"{area}/{name}")
        directory = self._area(area)
        if name in directory.entries:
            self._apply((directory, name, None))

    def _prune(self, path: str, *, depth: int) -> None:
        parent = _split(path)[0]
        while parent.count("/") >= depth:
            node = self._find(parent)
            if node is not None and (node.kind is not Kind.DIRECTORY or node.entries):
                return
            above, base = _split(parent)
            if node is not None:
                self._step("rmdir", parent)
                if node.entries:
                    return
                self._apply((self._directory(above), base, None))
            parent = above

    def _taken(self, path: str) -> tuple[Node, str, Node]:
        """Parent, name and inode of something that is no directory."""
        parent, base = _split(path)
        _check_name(base)
        node = self._existing(path)
        if node.kind is Kind.DIRECTORY:
            raise _error(errno.EISDIR, path)
        return self._directory(parent), base, node

    def _stat(self, path: str, shown: str) -> Seen | None:
        node = self._find(path)
        return None if node is None else _seen(shown, node)


def _backup(node: Node) -> Backup:
    entries = {name: _backup(child) for name, child in node.entries.items()}
    return (node.kind, node.data, node.x, node.mtime, entries)


def _add_files(directory: Node, within: str, found: dict[str, bytes]) -> None:
    """The bytes of each file below a directory, by its path."""
    for name, node in directory.entries.items():
        if node.kind is Kind.FILE:
            found[f"{within}/{name}"] = node.data
        elif node.entries:
            _add_files(node, f"{within}/{name}", found)


def _stamp(node: Node) -> Stamp:
    return Stamp(_DEVICE, node.ino, len(node.data), node.mtime, node.ctime, node.x)


def _seen(path: str, node: Node) -> Seen:
    return Seen(path, node.kind, _stamp(node) if node.kind is Kind.FILE else None)


def _is_utf8(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def _refuse_taken(directory: Node, name: str) -> None:
    if name in directory.entries:
        raise _error(errno.EEXIST, name)


def _check_name(name: str) -> None:
    if name in {"", ".", ".."} or "\0" in name:
        raise _error(errno.EINVAL, name)
    try:
        length = len(name.encode(errors="surrogateescape"))
    except UnicodeEncodeError:
        raise _error(errno.EILSEQ, ascii(name)) from None
    if length > _LONGEST_NAME:
        raise _error(errno.ENAMETOOLONG, name)
