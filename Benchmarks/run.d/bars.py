"""A chart with a row for each contender and a panel of horizontal bars for each thing measured."""

import math
from dataclasses import dataclass

from chart import WIDTH, line, nice_step, page, rectangle, text

TOP = 104
ROW = 26
LABELS = 214  # Width of the rows' names.
GAP = 50  # Between panels: room for the number behind the longest bar.


@dataclass
class Row:
    label: str
    style: str  # own, peer or bound


@dataclass
class Bar:
    """What a row shows in a panel: parts from left to right as (style, value), and the number behind them. `spread`:
    least and most of the runs, if a whisker is to show them."""

    parts: list
    label: str
    spread: tuple | None = None

    @property
    def value(self):
        return sum(value for _, value in self.parts)


@dataclass
class Panel:
    title: str
    unit: str
    # One for each row; None where nothing was measured.
    bars: list
    # Below the title: words, or (style, label) where bars have several parts.
    subtitle: str = ""
    legend: tuple = ()


class Scale:
    """From 0 to about the largest value; one that is far beyond all others does not count, and its bar is cut."""

    FAR = 1.7

    def __init__(self, left, right, values):
        ordered = sorted(values)
        while len(ordered) > 2 and ordered[-1] > self.FAR * ordered[-2]:
            ordered.pop()
        most = ordered[-1] if ordered and ordered[-1] > 0 else 1
        self.step = nice_step(most, 3)
        self.most = self.step * math.ceil(most / self.step * 0.999)
        self.left, self.right = left, right

    def at(self, value):
        return self.left + min(1, value / self.most) * (self.right - self.left)

    def is_beyond(self, value):
        return value > self.most

    @property
    def ticks(self):
        return [self.step * number for number in range(round(self.most / self.step) + 1)]


def draw(title, subtitle, rows, panels, remark):
    bottom = TOP + ROW * len(rows)
    parts = list(draw_rows(rows))
    width = (WIDTH - LABELS - 16 - GAP * len(panels)) / len(panels)
    for number, panel in enumerate(panels):
        left = LABELS + 16 + number * (width + GAP)
        scale = Scale(left, left + width, [bar.value for bar in panel.bars if bar])
        parts += draw_axis(panel, scale, bottom)
        for index, bar in enumerate(panel.bars):
            if bar:
                parts += draw_bar(scale, TOP + ROW * index, bar)
    return page(bottom + 52, title, subtitle, parts, remark)


def draw_rows(rows):
    for number, row in enumerate(rows):
        y = TOP + ROW * number
        if number % 2 == 0:
            yield rectangle(10, y, WIDTH - 20, ROW, "band", 4)
        yield text(LABELS, y + 17, row.label, "end strong" if row.style == "own" else "end")


def draw_axis(panel, scale, bottom):
    yield text(scale.left, TOP - 26, panel.title, "panel")
    if panel.subtitle:
        yield text(scale.left, TOP - 9, panel.subtitle, "quiet")
    x = scale.left
    for style, label in panel.legend:
        yield rectangle(x, TOP - 17, 9, 9, style, 2)
        yield text(x + 13, TOP - 9, label, "quiet")
        x += 13 + 6.2 * len(label) + 8
    for tick in scale.ticks:
        yield line(scale.at(tick), TOP, scale.at(tick), bottom, "grid")
        yield text(scale.at(tick), bottom + 15, f"{tick:g}", "quiet middle")
    yield line(scale.left, bottom, scale.right, bottom, "axis")
    yield text((scale.left + scale.right) / 2, bottom + 31, panel.unit, "quiet middle")


def draw_bar(scale, y, bar):
    so_far = 0.0
    for style, value in bar.parts:
        left, right = scale.at(so_far), scale.at(so_far + value)
        so_far += value
        if right > left:
            yield rectangle(left, y + 6, right - left, ROW - 12, style)
    end = scale.at(so_far)
    if scale.is_beyond(so_far):
        yield line(end - 14, y + ROW - 3, end - 8, y + 3, "break")
    elif bar.spread and bar.spread[0] < bar.spread[1]:
        least, most = map(scale.at, bar.spread)
        middle = y + ROW / 2
        yield line(least, middle, most, middle, "spread")
        yield line(least, middle - 3, least, middle + 3, "spread")
        yield line(most, middle - 3, most, middle + 3, "spread")
        end = max(end, most)
    yield text(end + 5, y + 17, bar.label)
