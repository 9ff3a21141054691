"""The chart: one row for each remedy, three panels. SVG written by hand, with a background of its own, so that it can
be read on light and on dark pages."""

import math
import textwrap
from html import escape

from report import two_digits
from style import TEXT_AND_LINES

WIDTH = 880
TOP = 112
ROW = 30
LABELS = 200  # Width of the remedies' names.

STYLE = (
    TEXT_AND_LINES
    + """
.own { font-weight: 600 }
.zero { fill: var(--page); stroke: var(--quiet); stroke-width: 1.5 }
.stale { fill: #8cc5ee } .stuck { fill: #0b5fa5 }
.race { fill: #d1495b } .crash { fill: #8e5bb5 } .bypass { fill: #e8a33d } .untold { fill: #8a8f98 }
.select { fill: #5a9a78 }
.between { stroke: #8cc5ee; stroke-width: 2 }
@media (prefers-color-scheme: dark) {
  .stale { fill: #5b9bd0 } .stuck { fill: #c4e4ff } .between { stroke: #3f6f99 }
}
"""
)


class Panel:
    """A horizontal scale between `left` and `right`."""

    def __init__(self, left, right):
        self.left, self.right = left, right


class LogarithmicPanel(Panel):
    """Percent on a logarithmic scale up to 100, with zero at its own place, left of a gap."""

    gap = 60

    def __init__(self, left, right, percents):
        super().__init__(left, right)
        least = min((percent for percent in percents if percent > 0), default=1)
        self.first = min(-2, math.floor(math.log10(least)))

    @property
    def decades(self):
        return [10.0**exponent for exponent in range(self.first, 3)]

    def at(self, percent):
        if percent <= 0:
            return self.left
        share = (math.log10(percent) - self.first) / (2 - self.first)
        return self.left + self.gap + share * (self.right - self.left - self.gap)


class LinearPanel(Panel):
    def __init__(self, left, right, most):
        super().__init__(left, right)
        self.step = nice_step(most)
        self.most = self.step * math.ceil(max(most, self.step) / self.step)

    def at(self, value):
        return self.left + value / self.most * (self.right - self.left)

    @property
    def ticks(self):
        return [self.step * n for n in range(round(self.most / self.step) + 1)]


def nice_step(most):
    """About four steps of 1, 2 or 5 times a power of ten."""
    rough = max(most, 1) / 4
    power = 10 ** math.floor(math.log10(rough))
    return next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough)


def svg(results, conditions):
    """The whole picture."""
    bottom = TOP + ROW * len(results)
    remarks = textwrap.wrap(conditions, 120)
    height = bottom + 72 + 17 * len(remarks)
    shares = [100 * count / m.hits for m in results for count in (m.stale_hits, m.stuck_hits)]
    stale = LogarithmicPanel(LABELS + 16, 492, shares)
    rest = LinearPanel(532, 706, max(m.wrong_at_rest for m in results))
    selects = LinearPanel(750, WIDTH - 52, max(100 * m.selects_per_read for m in results))
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}"'
        ' role="img" aria-labelledby="title">',
        '<title id="title">Stale cache hits, keys left wrong, and database queries, for each remedy</title>',
        f"<style>{STYLE}</style>",
        f'<rect class="page" x="0.5" y="0.5" width="{WIDTH - 1}" height="{height - 1}" rx="8"/>',
        text(20, 32, "What readers of a cache get, remedy by remedy", "title"),
        text(20, 52, "The same readers, writers and misfortunes for each remedy. Further left is better.", "quiet"),
    ]
    parts += rows(results)
    parts += scale(
        stale, [(0, "0")] + [(decade, f"{decade:g}") for decade in stale.decades], bottom, "% of hits, logarithmic"
    )
    parts += scale(rest, [(tick, f"{tick:g}") for tick in rest.ticks], bottom, "keys")
    parts += scale(selects, [(tick, f"{tick:g}") for tick in selects.ticks], bottom, "per 100 reads")
    parts += heading(stale, "Stale hits", [("stale", "any"), ("stuck", "for over 1 s")])
    causes = [
        cause for cause in ("race", "crash", "bypass", "untold") if any(m.wrong_by_cause[cause] for m in results)
    ]
    parts += heading(rest, "Wrong at rest", [(cause, cause) for cause in causes])
    parts += heading(selects, "SELECTs", [])
    for number, measures in enumerate(results):
        y = TOP + ROW * number
        parts += stale_dots(stale, y, measures)
        parts += rest_bar(rest, y, measures)
        parts += select_bar(selects, y, measures)
    for number, remark in enumerate(remarks):
        parts.append(text(20, bottom + 70 + 17 * number, remark, "quiet"))
    parts.append("</svg>")
    return "\n".join(parts) + "\n"


def rows(results):
    for number, measures in enumerate(results):
        y = TOP + ROW * number
        if number % 2 == 0:
            yield f'<rect class="band" x="10" y="{y}" width="{WIDTH - 20}" height="{ROW}" rx="4"/>'
        yield text(LABELS, y + 19, measures.title, "end own" if measures.name.startswith("cdcd") else "end")


def heading(panel, name, legend):
    yield text(panel.left, TOP - 32, name, "panel")
    x = panel.left
    for style, label in legend:
        yield f'<rect class="{style}" x="{x:.1f}" y="{TOP - 21}" width="10" height="10" rx="2"/>'
        yield text(x + 14, TOP - 12, label, "quiet")
        x += 14 + 6.2 * len(label) + 10


def scale(panel, ticks, bottom, unit):
    for value, label in ticks:
        x = panel.at(value)
        yield f'<line class="grid" x1="{x:.1f}" x2="{x:.1f}" y1="{TOP}" y2="{bottom}"/>'
        yield text(x, bottom + 16, label, "quiet middle")
    if isinstance(panel, LogarithmicPanel):
        broken = panel.left + panel.gap / 2
        yield f'<line class="axis" x1="{panel.left}" x2="{broken - 4}" y1="{bottom}" y2="{bottom}"/>'
        yield f'<line class="axis" x1="{broken + 4}" x2="{panel.right}" y1="{bottom}" y2="{bottom}"/>'
        for x in (broken - 4, broken + 4):
            yield f'<line class="axis" x1="{x - 3}" x2="{x + 3}" y1="{bottom + 5}" y2="{bottom - 5}"/>'
    else:
        yield f'<line class="axis" x1="{panel.left}" x2="{panel.right}" y1="{bottom}" y2="{bottom}"/>'
    yield text((panel.left + panel.right) / 2, bottom + 34, unit, "quiet middle")


def stale_dots(panel, y, measures):
    """Lengths mean nothing on a logarithmic scale, so these are dots: any staleness, and staleness for over 1 s."""
    y += ROW / 2
    any_share, stuck_share = (100 * count / measures.hits for count in (measures.stale_hits, measures.stuck_hits))
    right, left = panel.at(any_share), panel.at(stuck_share)
    if stuck_share > 0:
        yield f'<line class="between" x1="{left:.1f}" x2="{right:.1f}" y1="{y}" y2="{y}"/>'
        yield text(left - 10, y + 4, two_digits(stuck_share), "quiet end")
    else:
        yield text(left + 8, y + 4, "0", "quiet")
    yield dot(left, y, "stuck" if stuck_share else "zero")
    yield dot(right, y, "stale" if any_share else "zero")
    if any_share > 0:
        yield text(right + 10, y + 4, two_digits(any_share), "quiet")


def dot(x, y, style):
    return f'<circle class="{style}" cx="{x:.1f}" cy="{y}" r="{4 if style == "zero" else 5.5}"/>'


def rest_bar(panel, y, measures):
    x = panel.left
    for cause, count in measures.wrong_by_cause.items():
        if count:
            width = max(2, panel.at(count) - panel.left)
            yield f'<rect class="{cause}" x="{x:.1f}" y="{y + 8}" width="{width:.1f}" height="14"/>'
            x += width
    yield from label(x, y, measures.wrong_at_rest, str(measures.wrong_at_rest))


def select_bar(panel, y, measures):
    value = 100 * measures.selects_per_read
    width = panel.at(value) - panel.left
    yield f'<rect class="select" x="{panel.left:.1f}" y="{y + 8}" width="{width:.1f}" height="14"/>'
    yield from label(panel.left + width, y, value, f"{value:.1f}")


def label(x, y, value, written):
    """The number beside a bar. Zero is a ring at the scale's zero, never just an absent bar."""
    if value:
        yield text(x + 6, y + 19, written)
    else:
        yield dot(x, y + ROW / 2, "zero")
        yield text(x + 8, y + 19, "0")


def text(x, y, content, style=""):
    return f'<text class="{style}" x="{x:.1f}" y="{y:.1f}">{escape(content)}</text>'
