"""What every chart looks like: readable on light and on dark pages."""

TEXT_AND_LINES = """
text { font: 12px -apple-system, "Segoe UI", "Noto Sans", "DejaVu Sans", Arial, sans-serif; fill: var(--text) }
.title { font-size: 17px; font-weight: 600 }
.panel { font-weight: 600 }
.quiet { fill: var(--quiet); font-size: 11px }
.end { text-anchor: end }
.middle { text-anchor: middle }
.page { fill: var(--page); stroke: var(--line) }
.band { fill: var(--band) }
.grid { stroke: var(--line) }
.axis { stroke: var(--quiet) }
svg { --page: #ffffff; --band: #f3f6fa; --line: #d8dee4; --text: #1f2328; --quiet: #59636e }
@media (prefers-color-scheme: dark) {
  svg { --page: #0d1117; --band: #161d27; --line: #30363d; --text: #e6edf3; --quiet: #9198a1 }
}
"""
