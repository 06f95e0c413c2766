"""The figures of the S3 store as a plot: requests by number of files, times beside the peers'."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

from bench.drawing import FAINT, INK, Drawing
from bench.peers import BOTO, DAEMON, MOST_CPU_S, S5CMD, WAYS

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from bench.peers import Peers
    from bench.requests import Requests
    from tests.e2e.costs import Cost

WIDTH: Final = 1080
HEIGHT: Final = 410
TOP: Final = 50
BOTTOM: Final = 290
PANELS: Final = (60, 500, 830)
"""Where each panel has its left edge."""
WIDE: Final = 300
NARROW: Final = 230
MOST_SHOWN: Final = 14
COLOURS: Final = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")
"""Told apart by all eyes (Okabe and Ito)."""
WHO: Final = {DAEMON: COLOURS[0], S5CMD: COLOURS[1], BOTO: "#999"}


def draw(requests: Requests, peers: Peers) -> str:
    """The SVG."""
    drawing = Drawing(WIDTH, HEIGHT)
    _requests(drawing, requests)
    _bars(drawing, PANELS[1], "CPU seconds for 1,000 files", peers.cpu, limit=MOST_CPU_S)
    _bars(drawing, PANELS[2], "wall seconds for 1,000 files", peers.wall)
    return drawing.svg


def _requests(drawing: Drawing, requests: Requests) -> None:
    left = PANELS[0]
    drawing.text(left, TOP - 22, "requests of a command, by files in the scope", kind="title")
    sizes = list(requests.costs)
    first, last = math.log10(sizes[0]), math.log10(sizes[-1])

    def x(files: int) -> float:
        share = (math.log10(files) - first) / (last - first) if last > first else 0.5
        return left + 15 + share * (WIDE - 30)

    def y(count: float) -> float:
        return BOTTOM - count / MOST_SHOWN * (BOTTOM - TOP)

    for count in range(0, MOST_SHOWN + 1, 2):
        drawing.line([(left, y(count)), (left + WIDE, y(count))], FAINT)
        drawing.text(left - 8, y(count) + 4, str(count), "end")
    for files in sizes:
        drawing.text(x(files), BOTTOM + 18, f"{files:,}", "middle")
    for number, row in enumerate(_shown(requests)):
        colour = COLOURS[number % len(COLOURS)]
        points = [(x(files), y(cost.total)) for files, cost in zip(sizes, row, strict=True)]
        drawing.line(points, colour, width=2)
        for point in points:
            drawing.dot(*point, colour)
        said = f"{row[0].name} (at most {row[0].most})"
        at_x, at_y = left + 15, BOTTOM + 40 + number * 15
        drawing.dot(at_x - 9, at_y - 4, colour)
        drawing.text(at_x, at_y, said)


def _shown(requests: Requests) -> list[Sequence[Cost]]:
    """Those that fit the scale, each cost once."""
    rows = {row[0].name: row for row in zip(*requests.costs.values(), strict=True)}
    return [row for row in rows.values() if max(cost.total for cost in row) <= MOST_SHOWN]


def _bars(
    drawing: Drawing,
    left: float,
    title: str,
    figure: Callable[[str, str], float],
    limit: float | None = None,
) -> None:
    drawing.text(left, TOP - 22, title, kind="title")
    figures = {(way, who): figure(who, way) for way in WAYS for who in WHO}
    scale = (BOTTOM - TOP - 10) / max(*figures.values(), limit or 0)
    width, between = NARROW / 8, NARROW / 16
    for number, way in enumerate(WAYS):
        start = left + number * (NARROW / 2) + between
        for place, (who, colour) in enumerate(WHO.items()):
            height = figures[way, who] * scale
            drawing.bar(start + place * width, BOTTOM, width - 3, height, colour)
            middle = start + place * width + (width - 3) / 2
            drawing.text(middle, BOTTOM - height - 4, f"{figures[way, who]:.2f}", "middle")
        drawing.text(start + 1.5 * width, BOTTOM + 18, way, "middle")
    if limit is not None:
        at = BOTTOM - limit * scale
        drawing.line([(left, at), (left + NARROW, at)], INK, dashed=True)
        drawing.text(left - 4, at + 4, f"{limit:g}", "end")
    drawing.line([(left, BOTTOM), (left + NARROW, BOTTOM)])
    for place, (who, colour) in enumerate(WHO.items()):
        drawing.bar(left + place * 75, BOTTOM + 42, 10, 10, colour)
        drawing.text(left + place * 75 + 15, BOTTOM + 42, who)
