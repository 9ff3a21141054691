import Invalidation

/// How far a flush is, as one line says it.
package struct FlushProgress: Sendable, Equatable {
  private let summary: FlushSummary
  /// Of the walk under way, from 0 to 1.
  private let fraction: Double
  private let isAtLeases: Bool

  package init(_ summary: FlushSummary, fraction: Double, isAtLeases: Bool) {
    self.summary = summary
    self.fraction = fraction
    self.isAtLeases = isAtLeases
  }

  /// `45 %, values: 90000 found, 89990 deleted, 19800/s, 6 s left`.
  package var line: String {
    var parts = ["\(percent) %, \(isAtLeases ? "leases" : "values"): \(summary.found) found"]
    // A walk that only counts deletes nothing.
    if summary.deleted > 0 { parts.append("\(summary.deleted) deleted") }
    let seconds = summary.duration / .seconds(1)
    // The first pages say little about the rest.
    if seconds >= 1, fraction > 0.01 {
      if summary.deleted > 0 { parts.append("\(Int(Double(summary.deleted) / seconds))/s") }
      let rest = summary.duration * ((1 - fraction) / fraction)
      parts.append("\(FlushSummary.text(max(rest, .seconds(1)))) left")
    }
    return parts.joined(separator: ", ")
  }

  /// The line behind a bar, for a terminal of so many columns: no longer than one line.
  package func bar(columns: Int) -> String {
    let width = 20
    let done = String(repeating: "#", count: Int(fraction * Double(width)))
    let rest = String(repeating: ".", count: width - done.count)
    // A line that reaches the last column may wrap.
    return String("[\(done)\(rest)] \(line)".prefix(max(0, columns - 1)))
  }

  private var percent: Int { Int(fraction * 100) }
}
