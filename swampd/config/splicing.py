"""Putting a datastore into the text of a `.swamp.yaml`.

The text is edited at the places where the YAML parser found things: comments, order, quotes,
indentation and line ends of all the rest stay as they are, byte for byte.  (A round trip through a
YAML emitter moves the comments behind a removed or added key, and indents anew.)

Keeps true: the new text is parsed again and must say what the old one said, but for what was asked
for; where it would not (the block is an alias, or in a form that is not edited here) the answer is
an error that says what to write by hand.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias

from ruamel.yaml.nodes import CollectionNode, MappingNode, Node, ScalarNode

from swampd.config.source import parse, parser
from swampd.config.spelling import STORE_KEYS
from swampd.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Container, Iterator, Mapping
    from pathlib import Path

    from swampd.config.spelling import Block

_INDENT: Final = "  "
_Scalar: TypeAlias = "str | int | bool"
_Wanted: TypeAlias = "Mapping[str, _Scalar | Mapping[str, _Scalar]] | Mapping[str, _Scalar]"
_FIRST: Final = ("type", "bucket")
"""Behind these new keys go, where they are."""
_PLAIN: Final = re.compile(r"[A-Za-z0-9_/][A-Za-z0-9_./@+-]*")


def with_datastore(text: str, store: Block | None, repo_id: str | None, path: Path) -> str:
    """The text with `store` as its `datastore:` block and this `repoId`; None leaves what is there.

    Keys of the former store go, the others of the block stay.  `path` is for messages.  Raises
    ConfigError for a text that is malformed or cannot be edited.
    """
    before = parse(text, path)
    wanted = dict(before)
    if store is not None:
        block = before.get("datastore") or {}
        kept = {key: value for key, value in block.items() if key not in STORE_KEYS}
        wanted["datastore"] = kept | dict(store)
    if repo_id is not None:
        wanted["repoId"] = repo_id
    if wanted == before:
        return text
    new = _splice(text, _edits(text, store, repo_id))
    try:
        if parse(new, path) == wanted:
            return new
    except ConfigError:
        pass
    lines = "".join(f"\n{line}" for line in _lines(store, repo_id))
    raise ConfigError(
        f"{path} is in a form that cannot be edited without changing more of it",
        f"write this into it by hand:{lines}",
        path=str(path),
    )


# --- what to change, where --------------------------------------------------------------------


class _Edit(NamedTuple):
    """Put `text` in place of the characters from `start` to `end`."""

    start: int
    end: int
    text: str


def _splice(text: str, edits: Iterator[_Edit]) -> str:
    line_end = "\r\n" if "\r\n" in text else "\n"
    for edit in sorted(edits, reverse=True):
        text = text[: edit.start] + edit.text.replace("\n", line_end) + text[edit.end :]
    return text


def _edits(text: str, store: Block | None, repo_id: str | None) -> Iterator[_Edit]:
    root: Node | None = parser().compose(text)
    entries = _entries(root)
    if root is None or not entries:
        yield _at_end(text, _lines(store, repo_id))
        return
    if repo_id is not None and "repoId" in entries:  # there, but empty
        yield _new_value(text, *entries["repoId"], repo_id)
    elif repo_id is not None:
        start = root.start_mark.index
        yield _Edit(start, start, f"repoId: {_scalar(repo_id)}\n")
    if store is None:
        return
    if "datastore" in entries:
        yield from _edits_of_entry(text, *entries["datastore"], store, STORE_KEYS)
    else:
        yield _at_end(text, _lines(store, None))


def _edits_of_entry(
    text: str, key: Node, value: Node, wanted: _Wanted, owned: Container[str]
) -> Iterator[_Edit]:
    """Make a mapping say what is wanted; of its other keys those that are `owned` go."""
    start, end = _span(text, key, value)
    if not isinstance(value, MappingNode):  # nothing, or null
        yield _Edit(start, end, "")
        indent = " " * key.start_mark.column + _INDENT
        yield _behind(text, end, [f"{indent}{line}" for line in _settings(wanted)])
    elif value.flow_style:
        yield _Edit(start, end, _flow(wanted))
    else:
        yield from _edits_of_block(text, value, wanted, owned)


def _edits_of_block(
    text: str, block: MappingNode, wanted: _Wanted, owned: Container[str]
) -> Iterator[_Edit]:
    entries = _entries(block)
    for name, (key, value) in entries.items():
        if name in wanted:
            new = wanted[name]
            if not isinstance(new, str | int):
                yield from _edits_of_entry(text, key, value, new, _Everything())
            elif not _says(value, new):
                yield _new_value(text, key, value, new)
        elif name in owned:
            end = _end_of_line(text, _span(text, key, value)[1])
            yield _Edit(_start_of_line(text, key), end, "")
    missing = {name: wanted[name] for name in wanted if name not in entries}
    if missing:
        indent = " " * block.start_mark.column
        lines = [f"{indent}{line}" for line in _settings(missing)]
        first = next((name for name in _FIRST if name in entries and name in wanted), None)
        if first is not None:
            yield _behind(text, _span(text, *entries[first])[1], lines)
        else:
            start = _start_of_line(text, block)
            yield _Edit(start, start, "".join(f"{line}\n" for line in lines))


class _Everything:
    """Contains every key: `config:` is all the store's own."""

    def __contains__(self, _key: object) -> bool:
        return True


def _says(node: Node, value: _Scalar) -> bool:
    """Does this node mean the value already?"""
    kind = {str: "str", bool: "bool", int: "int"}[type(value)]
    return (
        isinstance(node, ScalarNode)
        and str(node.tag) == f"tag:yaml.org,2002:{kind}"
        and node.value == (value if isinstance(value, str) else json.dumps(value))
    )


def _new_value(text: str, key: Node, value: Node, new: _Scalar) -> _Edit:
    start, end = _span(text, key, value)
    return _Edit(start, end, ("" if start < end else " ") + _scalar(new))


def _behind(text: str, index: int, lines: list[str]) -> _Edit:
    """New lines behind the one that `index` is on."""
    end = _end_of_line(text, index)
    return _Edit(end, end, _break_before(text, end) + "".join(f"{line}\n" for line in lines))


def _at_end(text: str, lines: list[str]) -> _Edit:
    end = len(text)
    return _Edit(end, end, _break_before(text, end) + "".join(f"{line}\n" for line in lines))


def _break_before(text: str, index: int) -> str:
    """A line break, where the text before `index` lacks one."""
    return "" if index == 0 or text[index - 1] == "\n" else "\n"


def _start_of_line(text: str, node: Node) -> int:
    return text.rfind("\n", 0, node.start_mark.index) + 1


def _end_of_line(text: str, index: int) -> int:
    """Behind the line that `index` is on, a comment on it included."""
    end = text.find("\n", index)
    return len(text) if end < 0 else end + 1


def _span(text: str, key: Node, value: Node) -> tuple[int, int]:
    """Where the content of a value is; one that is not there would be behind its key's colon.

    The parser's end of a block is behind the comments after it, and its place of a value that is
    not there is at what comes next.
    """
    start, end = value.start_mark.index, value.end_mark.index
    if start == end:
        start = text.find(":", key.end_mark.index, start) + 1 or start
        return start, start
    if isinstance(value, CollectionNode) and not value.flow_style and value.value:
        last = value.value[-1]
        end = _span(text, *(last if isinstance(last, tuple) else (last, last)))[1]
    return start, len(text[:end].rstrip())


# --- YAML -------------------------------------------------------------------------------------


def _entries(node: Node | None) -> dict[str, tuple[Node, Node]]:
    if not isinstance(node, MappingNode):
        return {}
    return {key.value: (key, value) for key, value in node.value if isinstance(key.value, str)}


def _lines(store: Block | None, repo_id: str | None) -> list[str]:
    first = [] if repo_id is None else [f"repoId: {_scalar(repo_id)}"]
    if store is None:
        return first
    return [*first, "datastore:", *(f"{_INDENT}{line}" for line in _settings(store))]


def _settings(wanted: _Wanted) -> Iterator[str]:
    for name, value in wanted.items():
        if isinstance(value, str | int):
            yield f"{name}: {_scalar(value)}"
        else:
            yield f"{name}:"
            yield from (f"{_INDENT}{line}" for line in _settings(value))


def _flow(wanted: _Wanted) -> str:
    """In braces, on one line."""
    inside = (
        f"{name}: {_quoted(value) if isinstance(value, str | int) else _flow(value)}"
        for name, value in wanted.items()
    )
    return f"{{{', '.join(inside)}}}"


def _scalar(value: _Scalar) -> str:
    """A value as YAML: plain where that can only be read as this text, else in double quotes."""
    if isinstance(value, str) and _PLAIN.fullmatch(value) and parser().load(value) == value:
        return value
    return _quoted(value)


def _quoted(value: _Scalar) -> str:
    """As JSON, which is YAML too, but for characters that YAML would fold or refuse."""
    return "".join(
        character if character.isprintable() else f"\\U{ord(character):08x}"
        for character in json.dumps(value, ensure_ascii=False)
    )
