"""What a part of the bench found, as text, and what of it is not as it should be."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

_NUMBER: Final = re.compile(r"[\d,.]+")


@dataclass(frozen=True)
class Finding:
    """The figures, and a sentence for each limit that was missed."""

    text: str
    misses: Sequence[str] = ()


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Columns that line up; a table in Markdown, too.  Numbers are aligned right."""
    columns = list(zip(head, *rows, strict=True))
    widths = [max(map(len, column)) for column in columns]
    right = [all(_NUMBER.fullmatch(cell) for cell in column[1:]) for column in columns]
    rules = [
        "-" * (width - 1) + (":" if to else "-") for width, to in zip(widths, right, strict=True)
    ]
    lines = (
        " | ".join(
            cell.rjust(width) if to else cell.ljust(width)
            for cell, width, to in zip(row, widths, right, strict=True)
        )
        for row in (head, rules, *rows)
    )
    return "\n".join(f"| {line} |" for line in lines)
