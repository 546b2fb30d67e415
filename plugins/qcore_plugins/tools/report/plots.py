"""Plots as SVG text that takes the page's colours.

Matplotlib draws with stand-in colours, which then become CSS variables: one drawing serves light, dark and paper.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Mapping
from html import escape
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from qcore_kit.reports import Bars, Curves, Histogram, Ranges

WIDTH = 4.6
"""Inches, of 72 units each in the SVG: letters of 10 units are as large as the page's on a phone."""
TEXT, MUTED, LINE, PAPER, FAIL = "#0a0001", "#0a0002", "#0a0003", "#0a0004", "#0a0005"
SERIES = tuple(f"#0b000{number}" for number in range(1, 7))
_VARIABLES = {
    TEXT: "text", MUTED: "muted", LINE: "line", PAPER: "paper", FAIL: "fail",
    **{colour: f"series-{place}" for place, colour in enumerate(SERIES, 1)},
}  # fmt: skip
DASHES = ("-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)), (0, (1, 1)))
"""Lines differ in more than colour."""
FEW = 30
"""Points of a line up to which each is marked."""
_SETTINGS: Any = {
    "svg.fonttype": "none", "svg.hashsalt": "qcore", "font.size": 10, "axes.labelsize": 10,
    "text.color": TEXT, "axes.labelcolor": MUTED, "axes.edgecolor": LINE, "xtick.color": LINE, "ytick.color": LINE,
    "xtick.labelcolor": MUTED, "ytick.labelcolor": TEXT, "grid.color": LINE, "grid.linewidth": 0.6,
    "axes.spines.top": False, "axes.spines.right": False, "axes.axisbelow": True, "text.parse_math": False,
    "legend.frameon": False, "legend.fontsize": 10, "axes.facecolor": "none", "figure.facecolor": "none",
}  # fmt: skip
_BACKED = {"facecolor": PAPER, "edgecolor": "none", "pad": 0.8}
"""Behind words that a line may run through."""
Plot = Bars | Curves | Histogram | Ranges


def svg(block: Plot, number: int) -> str:
    """An `<svg>` element.

    Args:
        block: What to draw.
        number: Of the plot on its page; ids begin with it.
    """
    with matplotlib.rc_context(_SETTINGS):
        figure = Figure(figsize=(WIDTH, _height(block)), layout="constrained")
        axes = figure.add_subplot()
        _DRAWN[type(block)](axes, block)
        stream = io.StringIO()
        nothing = dict.fromkeys(("Date", "Creator", "Format", "Type"))
        figure.savefig(stream, format="svg", metadata=nothing)
    return _inline(stream.getvalue(), number, _told(block))


def _inline(text: str, number: int, told: str) -> str:
    """The drawing without what belongs to a file of its own, with ids of its own and the page's colours."""
    body = text[text.index("<svg") :]
    body = re.sub(r"<metadata>.*?</metadata>|<style.*?</style>", "", body, flags=re.DOTALL)
    box = re.search(r'viewBox="[^"]*"', body)
    assert box is not None  # noqa: S101 - matplotlib always writes one
    body = re.sub(r"<svg[^>]*>", f'<svg {box[0]} role="img" aria-label="{escape(told)}">', body, count=1)
    body = re.sub(r'(\bid="|href="#|url\(#)', rf"\g<1>plot-{number}-", body)
    return re.sub(r"#0[ab]000\d", lambda found: f"var(--{_VARIABLES[found[0]]})", body)


def _height(block: Plot) -> float:
    if isinstance(block, Bars):
        return 0.6 + 0.25 * max(len(block.labels), 2)
    if isinstance(block, Ranges):
        return 0.65 + 0.46 * max(len(block.rows), 1)
    return 3.1


def _bars(axes: Axes, block: Bars) -> None:
    places = range(len(block.labels))
    limit = float("-inf") if block.limit is None else block.limit
    colours = [FAIL if value < limit else SERIES[0] for value in block.values]
    drawn = axes.barh(places, block.values, color=colours, height=0.7)
    axes.bar_label(drawn, fmt="%.3g", padding=3, fontsize=9, color=TEXT, bbox=_BACKED)
    axes.set_yticks(places, [_short(label) for label in block.labels])
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    axes.set_ylim(len(block.labels) - 0.4, -0.6)
    axes.margins(x=0.12)
    axes.grid(axis="x")
    axes.set_xlabel(block.unit)
    if block.limit is not None:
        axes.axvline(block.limit, color=MUTED, linewidth=1, linestyle="--")


def _ranges(axes: Axes, block: Ranges) -> None:
    for place, (label, (low, middle, high)) in enumerate(block.rows.items()):
        colour = SERIES[0]
        axes.plot([low, high], [place, place], color=colour, linewidth=2.5, solid_capstyle="round")
        axes.plot([low, high], [place, place], "|", color=colour, markersize=8, markeredgewidth=1.5)
        axes.plot([middle], [place], "o", color=colour, markersize=6, markeredgecolor=PAPER)
        above: dict[str, Any] = {
            "xycoords": ("axes fraction", "data"),
            "textcoords": "offset points",
            "va": "bottom",
            "bbox": _BACKED,
        }
        axes.annotate(_short(label, 46), (0, place), (0, 7), ha="left", **above)
        axes.annotate(f"{middle:.4g}", (1, place), (0, 7), ha="right", fontweight="bold", **above)
    axes.set_yticks([])
    axes.spines["left"].set_visible(False)
    axes.set_ylim(len(block.rows) - 0.65, -0.75)
    axes.margins(x=0.06)
    axes.grid(axis="x")
    axes.set_xlabel(block.unit)
    if block.mark is not None:
        axes.axvline(block.mark, color=MUTED, linewidth=1, linestyle="--")
    elif block.rows:
        axes.set_xlim(left=0)


def _curves(axes: Axes, block: Curves) -> None:
    for place, (name, (x, y)) in enumerate(block.lines.items()):
        dots = "o" if len(x) <= FEW else ""
        line: dict[str, Any] = {
            "color": SERIES[place % 6],
            "linestyle": DASHES[place % 6],
            "linewidth": 1.8,
            "marker": dots,
            "markersize": 4,
        }
        axes.plot(x, y, label=_short(name, 46), **line)
    axes.grid()
    axes.set(xlabel=block.x, ylabel=block.y)
    if all(value == int(value) for x, _ in block.lines.values() for value in x):
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    points = [value for x, y in block.lines.values() for value in (*x, *y)]
    if points and min(points) >= 0 and max(points) <= 1:
        axes.set(xlim=(0, 1), ylim=(0, 1.02))
    if len(block.lines) > 1:
        _legend(axes)


def _histogram(axes: Axes, block: Histogram) -> None:
    for place, (name, counts) in enumerate(block.counts.items()):
        colour, dash = SERIES[place % 6], DASHES[place % 6]
        axes.stairs(counts, block.edges, fill=True, color=colour, alpha=0.25)
        axes.stairs(counts, block.edges, color=colour, linestyle=dash, linewidth=1.6, label=_short(name, 46))
    axes.set(xlabel=block.x, ylabel="count", xlim=(min(block.edges), max(block.edges)))
    axes.grid(axis="y")
    if _steep(block.counts):
        axes.set_yscale("symlog", linthresh=1)
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
        axes.set_ylabel("count (logarithmic)")
    if len(block.counts) > 1:
        _legend(axes)


def _steep(counts: Mapping[str, Any]) -> bool:
    """Whether a few bins would flatten all others."""
    known = sorted(value for each in counts.values() for value in each if value > 0)
    return bool(known) and known[-1] > 50 * known[len(known) // 2]


def _legend(axes: Axes) -> None:
    axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=2, borderaxespad=0.2, handlelength=2.2, labelcolor=TEXT)


def _short(text: str, most: int = 30) -> str:
    """The end of a long name tells more than its middle."""
    return text if len(text) <= most else f"{text[: most // 3]}…{text[-(most - most // 3 - 1) :]}"


def _told(block: Plot) -> str:
    """What a plot shows, for those who do not see it."""
    title = f"{block.title}: " if block.title else ""
    if isinstance(block, Bars):
        words = [f"{label} {value:.4g} {block.unit}" for label, value in zip(block.labels, block.values, strict=True)]
        return title + "; ".join(words[:20])
    if isinstance(block, Ranges):
        rows = block.rows.items()
        return title + "; ".join(
            f"{label} {mid:.4g} {block.unit}, {low:.4g} to {high:.4g}" for label, (low, mid, high) in rows
        )
    names = ", ".join(block.lines if isinstance(block, Curves) else block.counts)
    axes = f"{block.y} over {block.x}" if isinstance(block, Curves) else f"count over {block.x}"
    return f"{title}{axes} of {names}"


_DRAWN: dict[type, Callable[[Axes, Any], None]] = {
    Bars: _bars, Ranges: _ranges, Curves: _curves, Histogram: _histogram,
}  # fmt: skip
