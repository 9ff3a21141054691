"""Line charts: panels side by side, each with curves over scales of its own."""

import math
from dataclasses import dataclass, field

from chart import WIDTH, line, nice_step, page, text

PANEL_HEIGHT = 250
PANEL_ROOM = PANEL_HEIGHT + 84
MARGIN = 20
GUTTER = 70  # Left of each panel, for the numbers of its scale.
LEGEND_ROW = 18

# So many of each are in chart.STYLE.
OWN_HUES, PEER_HUES = 3, 8


@dataclass
class Curve:
    """`points`: (x, y), ascending in x."""

    title: str
    points: list
    is_own: bool = False


class Linear:
    def __init__(self, values, label="{:g}"):
        most = max([*values, 0]) or 1
        self.step = nice_step(most)
        self.most = self.step * math.ceil(most / self.step)
        self._label = label

    def share(self, value):
        return value / self.most

    @property
    def ticks(self):
        steps = round(self.most / self.step)
        return [(self.step * n, self._label.format(self.step * n)) for n in range(steps + 1)]


class Logarithmic:
    """Whole decades from the least to the most of the values; what is less than `least` lies on the edge."""

    def __init__(self, values, label="{:g}", least=0.0):
        positive = [max(value, least) for value in values if max(value, least) > 0] or [1]
        self.first, self.last = (math.log10(value) for value in (min(positive), max(positive)))
        self.first, self.last = math.floor(self.first), math.ceil(self.last)
        self.last = max(self.last, self.first + 1)
        self._label = label

    def share(self, value):
        return (math.log10(max(value, 10.0**self.first)) - self.first) / (self.last - self.first)

    @property
    def ticks(self):
        decades = [10.0**exponent for exponent in range(self.first, self.last + 1)]
        return [(decade, self._label.format(decade)) for decade in decades]


class Percentiles:
    """Each nine takes as much room as the one before."""

    marks = [50, 90, 99, 99.9, 99.99]

    def __init__(self, values):
        self._last = self._nines(max(values))

    def _nines(self, percent):
        return -math.log10(max(1 - percent / 100, 1e-6))

    def share(self, percent):
        return self._nines(percent) / self._last

    @property
    def ticks(self):
        return [(mark, f"{mark:g} %") for mark in self.marks if self.share(mark) <= 1.0001]


@dataclass
class Panel:
    """`x` and `y` are scales. `limit`: a curve of a target, (x, y), or None."""

    title: str
    x_title: str
    y_title: str
    x: object
    y: object
    curves: list
    limit: list = field(default_factory=list)


def draw(title, subtitle, panels, remark, columns=2):
    """The whole picture. Curves of the same title have the same hue in every panel."""
    hues = hues_of(panels)
    parts, legend_rows = draw_legend(hues, any(panel.limit for panel in panels))
    top = 108 + LEGEND_ROW * legend_rows
    width = (WIDTH - 2 * MARGIN) / columns
    for number, panel in enumerate(panels):
        left = MARGIN + width * (number % columns) + GUTTER
        upper = top + PANEL_ROOM * (number // columns)
        parts += draw_panel(panel, left, upper, width - GUTTER - 24, hues)
    return page(top + PANEL_ROOM * math.ceil(len(panels) / columns) - 26, title, subtitle, parts, remark)


def hues_of(panels):
    """Title -> class and colour, in order of appearance."""
    hues, own, peers = {}, 0, 0
    for panel in panels:
        for curve in panel.curves:
            if curve.title in hues:
                continue
            if curve.is_own:
                hues[curve.title] = ("curve strong", f"var(--own{own % OWN_HUES})")
                own += 1
            else:
                hues[curve.title] = ("curve", f"var(--peer{peers % PEER_HUES})")
                peers += 1
    return hues


def draw_legend(hues, has_limit):
    entries = [(title, style, f'style="stroke: {hue}"') for title, (style, hue) in hues.items()]
    if has_limit:
        entries.append(("target", "limit curve", ""))
    parts, x, row = [], MARGIN, 0
    for title, style, hue in entries:
        width = 30 + 6.6 * len(title) + 16
        if x + width > WIDTH - MARGIN:
            x, row = MARGIN, row + 1
        y = 74 + LEGEND_ROW * row
        parts.append(polyline(style, hue, [(x, y - 4), (x + 22, y - 4)]))
        parts.append(text(x + 28, y, title, "quiet"))
        x += width
    return parts, row + 1


def draw_panel(panel, left, top, width, hues):
    bottom, right = top + PANEL_HEIGHT, left + width

    def place(point):
        return left + panel.x.share(point[0]) * width, bottom - panel.y.share(point[1]) * PANEL_HEIGHT

    yield text(left - GUTTER + 12, top - 22, panel.title, "panel")
    yield text(left - GUTTER + 12, top - 7, panel.y_title, "quiet")
    for value, label in panel.y.ticks:
        y = bottom - panel.y.share(value) * PANEL_HEIGHT
        yield line(left, y, right, y, "grid")
        yield text(left - 8, y + 4, label, "quiet end")
    for value, label in panel.x.ticks:
        x = left + panel.x.share(value) * width
        yield line(x, top, x, bottom, "grid")
        yield text(x, bottom + 16, label, "quiet middle")
    yield line(left, bottom, right, bottom, "axis")
    yield text((left + right) / 2, bottom + 34, panel.x_title, "quiet middle")
    if panel.limit:
        yield polyline("limit curve", "", map(place, panel.limit))
    # Peers first, so that cdcd lies above them.
    for curve in sorted(panel.curves, key=lambda curve: curve.is_own):
        style, hue = hues[curve.title]
        points = list(map(place, curve.points))
        yield polyline(style, f'style="stroke: {hue}"', points)
        if len(points) <= 12:
            for x, y in points:
                yield f'<circle style="fill: {hue}" cx="{x:.1f}" cy="{y:.1f}" r="3"/>'


def polyline(style, attribute, points):
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    return f'<polyline class="{style}" {attribute} points="{path}"/>'
