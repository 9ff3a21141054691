package import Invalidation

/// What a flush has done, for people.
package struct FlushSummary: Sendable, Equatable {
  /// How many rules it flushes.
  package var rules: Int
  package var counts = RequestedFlush.Counts()
  package var duration = Duration.zero
  /// How many keys each pattern of the last walk covered.
  package var patterns: [Pattern] = []

  package struct Pattern: Sendable, Equatable {
    package var isLease: Bool
    package var glob: String
    package var found: UInt64
  }

  package init(rules: Int) { self.rules = rules }

  package var deleted: UInt64 { counts.deletedKeys + counts.deletedLeases }
  package var found: UInt64 { counts.foundKeys + counts.foundLeases }

  func adding(_ walk: RequestedFlush, since start: ContinuousClock.Instant) -> FlushSummary {
    var sum = self
    sum.counts.foundKeys += walk.counts.foundKeys
    sum.counts.foundLeases += walk.counts.foundLeases
    sum.counts.deletedKeys += walk.counts.deletedKeys
    sum.counts.deletedLeases += walk.counts.deletedLeases
    sum.duration = start.duration(to: .now)
    sum.patterns = zip(walk.stages, walk.foundByGlob).flatMap { stage, counts in
      zip(stage.globs, counts).map { glob, found in
        Pattern(isLease: stage.isLease, glob: String(decoding: glob, as: UTF8.self), found: found)
      }
    }
    return sum
  }

  /// `Deleted 200000 keys and 20000 leases of 5 rules in 11 s.`
  package var sentence: String { "Deleted \(deletedText) of \(rulesText) in \(FlushSummary.text(duration))." }

  /// `200000 keys and 20000 leases`.
  package var deletedText: String {
    "\(FlushSummary.text(counts.deletedKeys, "key")) and \(FlushSummary.text(counts.deletedLeases, "lease"))"
  }

  /// A line for each pattern, and one for all, of a walk that only counts.
  package var inventory: String {
    var lines = patterns.map { pattern in "\(FlushSummary.padded(pattern.found)) \(pattern.glob)" }
    let isCountedOnce = patterns.reduce(0) { $0 + $1.found } == found
    lines.append(
      "\(FlushSummary.text(counts.foundKeys, "key")) and \(FlushSummary.text(counts.foundLeases, "lease")) of \(rulesText)"
        + " would be deleted"
        + (isCountedOnce ? "." : "; one that several patterns cover is in the line of each."))
    return lines.joined(separator: "\n")
  }

  private var rulesText: String { FlushSummary.text(UInt64(rules), "rule") }

  private static func text(_ count: UInt64, _ noun: String) -> String {
    "\(count) \(noun)\(count == 1 ? "" : "s")"
  }

  private static func padded(_ count: UInt64) -> String {
    let digits = String(count)
    return String(repeating: " ", count: max(0, 10 - digits.count)) + digits
  }

  /// `850 ms`, `12 s`, `3 min 5 s`, `2 h 10 min`.
  static func text(_ duration: Duration) -> String {
    let seconds = duration.components.seconds
    switch seconds {
    case ..<1: return "\(duration / .milliseconds(1) < 0 ? 0 : Int(duration / .milliseconds(1))) ms"
    case ..<60: return "\(seconds) s"
    case ..<3_600: return "\(seconds / 60) min \(seconds % 60) s"
    default: return "\(seconds / 3_600) h \(seconds / 60 % 60) min"
    }
  }
}
