"""What the charts are made of: SVG written by hand, with a background of its own, so that it can be read on light and
on dark pages."""

import math
import textwrap
from html import escape

from style import TEXT_AND_LINES

WIDTH = 880

STYLE = (
    TEXT_AND_LINES
    + """
.strong { font-weight: 600 }
.limit { stroke: var(--quiet); stroke-dasharray: 3 3 }
.spread { stroke: var(--text); stroke-width: 1.2 }
.break { stroke: var(--page); stroke-width: 3 }
.own { fill: #0b5fa5 } .peer { fill: #8cb4d6 } .bound { fill: #a9b3bd }
.first { fill: #0b5fa5 } .second { fill: #8cc5ee } .third { fill: #e8a33d } .fourth { fill: #d1495b }
.line { fill: none; stroke-width: 2 }
.line.first { fill: none; stroke: #0b5fa5 } .line.second { fill: none; stroke: #5aa5d8 }
.line.third { fill: none; stroke: #e8a33d } .line.fourth { fill: none; stroke: #d1495b }
.curve { fill: none; stroke-width: 1.6; stroke-linejoin: round }
.strong.curve { stroke-width: 2.8 }
svg { --own0: #0b5fa5; --own1: #3f9be0; --own2: #6b7fd7; --peer0: #6b7280; --peer1: #d1495b; --peer2: #e8a33d;
  --peer3: #5a9a78; --peer4: #8e5bb5; --peer5: #b0763a; --peer6: #2a9d9d; --peer7: #c76fa8 }
@media (prefers-color-scheme: dark) {
  svg { --own0: #6cb6ff; --own1: #a5d0ff; --own2: #a3b1f5; --peer0: #aab2bd; --peer1: #ef7d8c; --peer2: #f0bd6b;
    --peer3: #86c7a5; --peer4: #bd94dc; --peer5: #d3a06b; --peer6: #6fd0d0; --peer7: #e3a4cb }
  .own { fill: #6cb6ff } .peer { fill: #3f6f99 } .bound { fill: #59636e }
  .first { fill: #6cb6ff } .second { fill: #3f6f99 }
  .line.first { stroke: #6cb6ff } .line.second { stroke: #5b9bd0 }
}
"""
)


def text(x, y, content, style=""):
    return f'<text class="{style}" x="{x:.1f}" y="{y:.1f}">{escape(content)}</text>'


def line(x1, y1, x2, y2, style):
    return f'<line class="{style}" x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"/>'


def rectangle(x, y, width, height, style, radius=0):
    rounded = f' rx="{radius}"' if radius else ""
    return f'<rect class="{style}" x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}"{rounded}/>'


def nice_step(most, steps=4):
    """About so many steps of 1, 2 or 5 times a power of ten."""
    rough = most / steps
    power = 10 ** math.floor(math.log10(rough))
    return next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough * 0.999)


def page(height, title, subtitle, parts, remark):
    """The whole picture; `parts` fill what is between the two lines on top and the remark below, which begins at
    `height`."""
    remarks = textwrap.wrap(remark.replace("`", ""), 130)
    whole = height + 17 * len(remarks) + 8
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {whole}" width="{WIDTH}"'
            f' height="{whole}" role="img" aria-labelledby="title">',
            f'<title id="title">{escape(title)}</title>',
            f"<style>{STYLE}</style>",
            f'<rect class="page" x="0.5" y="0.5" width="{WIDTH - 1}" height="{whole - 1}" rx="8"/>',
            text(20, 32, title, "title"),
            text(20, 52, subtitle, "quiet"),
            *parts,
            *(text(20, height + 10 + 17 * number, words, "quiet") for number, words in enumerate(remarks)),
            "</svg>\n",
        ]
    )
