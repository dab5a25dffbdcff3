"""Charts as inline SVG of our own: no script, no outside reference, the same bytes for the same figures."""

from __future__ import annotations

from collections.abc import Sequence
from xml.sax.saxutils import escape

from agent.model.report import ScanReport
from agent.model.severity import Severity
from agent.report.view import View

COLOURS = {
    Severity.CRITICAL: "#8b1a1a",
    Severity.HIGH: "#d1495b",
    Severity.MEDIUM: "#e0a030",
    Severity.LOW: "#4178a4",
    Severity.INFO: "#8a9299",
}
_FONT = "Noto Sans CJK SC, Source Han Sans SC, Microsoft YaHei, SimHei, sans-serif"
WIDTH = 720.0
_MOST_TARGETS = 40
NAME, _LABEL = 20, 14  # most characters of a target and of a round
INK, GREY, GRID = "#222", "#666", "#d8dde2"


def label(x: float, y: float, words: str, *, anchor: str = "start", size: float = 13, fill: str = INK) -> str:
    """Text of a chart."""
    place = f'x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"'
    return f'<text {place} font-size="{size:g}" fill="{fill}">{escape(words)}</text>'


def bar(x: float, y: float, width: float, height: float, fill: str) -> str:
    """A filled rectangle; nothing is narrower than nothing."""
    return f'<rect x="{x:.1f}" y="{y:.1f}" width="{max(width, 0):.1f}" height="{height:.1f}" fill="{fill}"/>'


def rule(x1: float, y1: float, x2: float, y2: float, stroke: str = GRID) -> str:
    """A line."""
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{stroke}" stroke-width="1"/>'


def picture(height: float, parts: Sequence[str], title: str) -> tuple[str, float, float]:
    """The SVG with its size in its own pixels."""
    body = "".join(parts)
    svg = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH:g} {height:g}" width="{WIDTH:g}"'
        f' height="{height:g}" role="img" aria-label="{escape(title, {chr(34): "&quot;"})}" font-family="{_FONT}">'
        f"{body}</svg>"
    )
    return svg, WIDTH, height


def _legend(y: float) -> list[str]:
    parts = []
    for index, (severity, colour) in enumerate(COLOURS.items()):
        x = 170 + index * 84
        parts += [bar(x, y - 10, 12, 12, colour), label(x + 18, y + 0.5, severity.zh)]
    return parts


def ceiling(value: int) -> int:
    """The next number that is four whole, round steps."""
    power = 1
    while True:
        for factor in (1, 2, 3, 4, 5, 6, 8):
            if 4 * factor * power >= value:
                return 4 * factor * power
        power *= 10


def severity_bars(view: View) -> tuple[str, float, float]:
    """One bar for each severity, with its count and share."""
    top = ceiling(max((count.count for count in view.severities), default=0))
    left, right, step = 70.0, 600.0, 34.0
    bottom = 14 + step * len(view.severities)
    parts = []
    for tick in range(5):
        x = left + (right - left) * tick / 4
        parts += [rule(x, 8, x, bottom), label(x, bottom + 18, f"{top * tick // 4}", anchor="middle", fill=GREY)]
    for index, (count, colour) in enumerate(zip(view.severities, COLOURS.values(), strict=True)):
        y = 14 + step * index
        width = (right - left) * count.count / top
        parts.append(label(left - 10, y + 17, count.label, anchor="end"))
        parts.append(bar(left, y + 2, width, 22, colour))
        words = f"{count.count} 项  {count.percent}" if count.count else "0 项"
        parts.append(label(left + width + 8, y + 18, words, size=12))
    parts.append(rule(left, 8, left, bottom, GREY))
    return picture(bottom + 28, parts, "各等级待整改发现数量")


def target_bars(view: View) -> tuple[str, float, float] | None:
    """One stacked bar for each target, worst first; at most forty, and the chart says so."""
    ranked = [target for target in view.ranking if target.total][:_MOST_TARGETS]
    if len(ranked) <= 1:
        return None
    top = ceiling(max(target.total for target in ranked))
    left, right, step = 170.0, 670.0, 21.0
    bottom = 40 + step * len(ranked)
    parts = _legend(16)
    for tick in range(5):
        x = left + (right - left) * tick / 4
        parts += [rule(x, 32, x, bottom), label(x, bottom + 18, f"{top * tick // 4}", anchor="middle", fill=GREY)]
    for index, target in enumerate(ranked):
        y = 36 + step * index
        name = target.row.name if len(target.row.name) <= NAME else target.row.name[: NAME - 1] + "…"
        parts.append(label(left - 10, y + 13, name, anchor="end", size=12))
        x = left
        for count, colour in zip(target.counts, COLOURS.values(), strict=True):
            width = (right - left) * count / top
            if count:
                parts.append(bar(x, y + 2, width, 14, colour))
            x += width
        parts.append(label(x + 6, y + 13, str(target.total), size=12, fill=GREY))
    parts.append(rule(left, 32, left, bottom, GREY))
    return picture(bottom + 28, parts, "各目标待整改发现数量")


def trend_bars(report: ScanReport, view: View) -> tuple[str, float, float] | None:
    """Stacked columns of the rounds, this one last; nothing to draw in the first round."""
    rounds = [(point.label, (point.critical, point.high, point.medium, point.low)) for point in report.trend]
    if not rounds:
        return None
    now = tuple(count.count for count in view.severities[:4])
    rounds = [*rounds, ("本轮", (now[0], now[1], now[2], now[3]))][-12:]
    top = ceiling(max(sum(counts) for _label, counts in rounds))
    left, right, bottom = 60.0, 700.0, 240.0
    parts = _legend(16)[:8]
    for tick in range(5):
        y = bottom - 190 * tick / 4
        parts += [rule(left, y, right, y), label(left - 8, y + 4, f"{top * tick // 4}", anchor="end", fill=GREY)]
    step = (right - left) / len(rounds)
    for index, (name, counts) in enumerate(rounds):
        x, y = left + step * (index + 0.5), bottom
        width = min(56.0, step * 0.6)
        for count, colour in zip(counts, COLOURS.values(), strict=False):
            height = 190 * count / top
            y -= height
            if count:
                parts.append(bar(x - width / 2, y, width, height, colour))
        parts.append(label(x, y - 6, str(sum(counts)), anchor="middle", size=12))
        words = name if len(name) <= _LABEL else name[: _LABEL - 1] + "…"
        parts.append(label(x, bottom + 18, words, anchor="middle", size=12))
    parts.append(rule(left, bottom, right, bottom, GREY))
    return picture(bottom + 30, parts, "历轮待整改发现数量")


def draw(name: str, report: ScanReport, view: View) -> tuple[str, float, float] | None:
    """Draw the chart of that name (`severity`, `targets`, `trend`).

    Returns:
        SVG, width and height in its own pixels; None when there is nothing to draw.

    Raises:
        KeyError: there is no chart of that name.
    """
    if name == "severity":
        return severity_bars(view)
    if name == "targets":
        return target_bars(view)
    if name == "trend":
        return trend_bars(report, view)
    raise KeyError(name)
