"""Charts of the 安全加固报告, drawn as those of the scan report are."""

from __future__ import annotations

from agent.model.hardenreport import HardenReport
from agent.report.charts import GREY, NAME, bar, ceiling, label, picture, rule
from agent.report.hardenview import HardenView

_FILLS = {
    "good": "#2f7d4f",
    "medium": "#e0a030",
    "info": "#8a9299",
    "unknown": "#5c6670",
    "high": "#d1495b",
    "low": "#4178a4",
    "critical": "#8b1a1a",
}
_MOST = 40
_LEFT, _RIGHT = 170.0, 670.0


def states(view: HardenView) -> tuple[str, float, float]:
    """One bar for each state of closure, with its count and share."""
    top = ceiling(max((count.count for count in view.states), default=0))
    left, right, step = 90.0, 590.0, 30.0
    bottom = 14 + step * len(view.states)
    parts = []
    for tick in range(5):
        x = left + (right - left) * tick / 4
        parts += [rule(x, 8, x, bottom), label(x, bottom + 18, f"{top * tick // 4}", anchor="middle", fill=GREY)]
    for index, count in enumerate(view.states):
        y = 14 + step * index
        width = (right - left) * count.count / top
        parts.append(label(left - 10, y + 16, count.label, anchor="end"))
        parts.append(bar(left, y + 2, width, 20, _FILLS[count.css]))
        words = f"{count.count} 项  {count.percent}" if count.count else "0 项"
        parts.append(label(left + width + 8, y + 17, words, size=12))
    parts.append(rule(left, 8, left, bottom, GREY))
    return picture(bottom + 28, parts, "整改闭环各状态数量")


def targets(view: HardenView) -> tuple[str, float, float] | None:
    """Mended and not, a stacked bar for each target, in their order; at most forty."""
    shown = [target for target in view.targets if target.total][:_MOST]
    if len(shown) <= 1:
        return None
    top = ceiling(max(target.total for target in shown))
    step = 21.0
    bottom = 40 + step * len(shown)
    parts = [bar(250, 6, 12, 12, _FILLS["good"]), label(268, 16.5, "已修复")]
    parts += [bar(350, 6, 12, 12, _FILLS["info"]), label(368, 16.5, "其余状态")]
    for tick in range(5):
        x = _LEFT + (_RIGHT - _LEFT) * tick / 4
        parts += [rule(x, 32, x, bottom), label(x, bottom + 18, f"{top * tick // 4}", anchor="middle", fill=GREY)]
    for index, target in enumerate(shown):
        y = 36 + step * index
        name = target.row.name
        name = name if len(name) <= NAME else name[: NAME - 1] + "…"
        parts.append(label(_LEFT - 10, y + 13, name, anchor="end", size=12))
        done = (_RIGHT - _LEFT) * target.fixed / top
        whole = (_RIGHT - _LEFT) * target.total / top
        parts += [
            bar(_LEFT, y + 2, done, 14, _FILLS["good"]),
            bar(_LEFT + done, y + 2, whole - done, 14, _FILLS["info"]),
        ]
        parts.append(label(_LEFT + whole + 6, y + 13, f"{target.fixed}/{target.total}", size=12, fill=GREY))
    parts.append(rule(_LEFT, 32, _LEFT, bottom, GREY))
    return picture(bottom + 28, parts, "各目标已修复与其余数量")


def draw(name: str, _report: HardenReport, view: HardenView) -> tuple[str, float, float] | None:
    """Draw the chart of that name (`states`, `targets`); KeyError: there is none."""
    if name == "states":
        return states(view)
    if name == "targets":
        return targets(view)
    raise KeyError(name)
