"""The little SVG that the plot of the bench needs."""

from __future__ import annotations

from html import escape
from typing import Final

INK: Final = "#333"
FAINT: Final = "#ddd"
_STYLE: Final = "text{font:12px sans-serif;fill:#333}.title{font-weight:bold;font-size:13px}"


class Drawing:
    """Shapes on a white sheet, in pixels from its upper left corner."""

    def __init__(self, width: int, height: int) -> None:
        size = f'viewBox="0 0 {width} {height}" width="{width}" height="{height}"'
        self._shapes = [
            f'<svg xmlns="http://www.w3.org/2000/svg" {size}>',
            f"<style>{_STYLE}</style>",
            f'<rect width="{width}" height="{height}" fill="white"/>',
        ]

    def line(
        self,
        points: list[tuple[float, float]],
        colour: str = INK,
        *,
        width: float = 1,
        dashed: bool = False,
    ) -> None:
        """A line through these points."""
        said = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        dashes = ' stroke-dasharray="4 4"' if dashed else ""
        self._shapes.append(
            f'<polyline points="{said}" fill="none" stroke="{colour}"'
            f' stroke-width="{width:g}"{dashes}/>'
        )

    def dot(self, x: float, y: float, colour: str) -> None:
        """A point."""
        self._shapes.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3.5" fill="{colour}"/>')

    def bar(self, x: float, bottom: float, width: float, height: float, colour: str) -> None:
        """A bar that stands on `bottom`."""
        top = bottom - height
        self._shapes.append(
            f'<rect x="{x:.1f}" y="{top:.1f}" width="{width:.1f}" height="{height:.1f}"'
            f' fill="{colour}"/>'
        )

    def text(self, x: float, y: float, words: str, anchor: str = "start", kind: str = "") -> None:
        """One line of text; `anchor` is start, middle or end."""
        named = f' class="{kind}"' if kind else ""
        self._shapes.append(
            f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"{named}>{escape(words)}</text>'
        )

    @property
    def svg(self) -> str:
        """The whole document."""
        return "\n".join([*self._shapes, "</svg>", ""])
