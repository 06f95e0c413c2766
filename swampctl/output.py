"""What is printed: data on stdout, talk on stderr; with `--json` one object.

Colour only on a terminal, and never with NO_COLOR.  Names come from stores and other people's
files: control characters in what is printed are spelt out, so none of them reaches the terminal.
"""

from __future__ import annotations

import json
import os
import re
import sys
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from swampd.errors import SwampdError

SCHEMA_VERSION: Final = 1
_CONTROL: Final = re.compile("[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
_RED, _YELLOW, _DIM, _PLAIN = "\x1b[31m", "\x1b[33m", "\x1b[2m", "\x1b[0m"


class Output:
    """Prints for one command."""

    def __init__(self, *, as_json: bool) -> None:
        self.as_json = as_json

    def result(self, document: dict[str, Any], lines: Iterable[str] = ()) -> None:
        """The answer: the document with `--json`, else the lines."""
        if self.as_json:
            print(json.dumps({"schema_version": SCHEMA_VERSION, **document}, sort_keys=True))
        else:
            for line in lines:
                print(plain(line))
        sys.stdout.flush()

    def say(self, text: str) -> None:
        """Talk for a person: on stderr."""
        print(plain(text), file=sys.stderr, flush=True)

    def warn(self, text: str) -> None:
        """Talk that should be read."""
        print(f"{paint('warning:', _YELLOW)} {plain(text)}", file=sys.stderr, flush=True)

    def error(self, error: SwampdError) -> None:
        """What went wrong and what to do; with `--json` also as an object on stdout."""
        if self.as_json:
            self.result({"error": error_document(error)})
        print(f"{paint('error:', _RED)} {plain(error.summary)}", file=sys.stderr)
        if error.hint:
            print(f"{paint('hint:', _DIM)} {plain(error.hint)}", file=sys.stderr)
        sys.stderr.flush()

    def progress(self, text: str) -> None:
        """One line that replaces itself, on a terminal only."""
        if sys.stderr.isatty():
            print(f"\r\x1b[K{text}", end="", file=sys.stderr, flush=True)

    def end_progress(self) -> None:
        """Clear that line."""
        if sys.stderr.isatty():
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)


def plain(text: str) -> str:
    """One line of text with its control characters spelt out."""
    return _CONTROL.sub(lambda found: ascii(found[0])[1:-1], text)


def error_document(error: SwampdError) -> dict[str, Any]:
    """An error for programs."""
    return {
        "code": error.code,
        "summary": error.summary,
        "hint": error.hint,
        "exit_code": error.meaning.exit_code,
        "fields": error.fields,
    }


def paint(text: str, colour: str) -> str:
    """The text in a colour, where that is wanted."""
    wanted = sys.stderr.isatty() and not os.environ.get("NO_COLOR")
    return f"{colour}{text}{_PLAIN}" if wanted else text


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Columns side by side; no head where there are no rows."""
    if not rows:
        return []
    lines = [head, *rows]
    widths = [max(len(line[column]) for line in lines) for column in range(len(head))]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    ]
