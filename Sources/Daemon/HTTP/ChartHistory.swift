import Invalidation

/// What one span of time looked like.
package struct ChartPoint: Sendable, Equatable {
  /// The end of the span, in microseconds since 2000-01-01 00:00 UTC.
  package var end: Int64
  package var transactionsPerSecond: Double
  package var keysPerSecond: Double
  /// Nil when nothing was deleted.
  package var latency: LatencyQuantiles?
  /// WAL that was not settled at the end; nil before the first position.
  package var lagBytes: UInt64?
}

/// The last ten minutes, two seconds a point, so that the charts of the status page are full as soon as it opens.
struct ChartHistory {
  private static let span: Int64 = 2_000_000_000
  private static let capacity = 300

  private struct Totals {
    var monotonic: Int64
    var transactions: UInt64
    var keys: UInt64
    var commitToDelete: Histogram
  }

  /// The oldest first.
  private(set) var points: [ChartPoint] = []
  private var before: Totals?

  /// To be called once a second at least.
  mutating func record(_ statistics: Statistics, lagBytes: UInt64?, at now: Moment) {
    let totals = Totals(
      monotonic: now.monotonic, transactions: statistics.transactions, keys: statistics.allKeysDeleted,
      commitToDelete: statistics.commitToDelete)
    guard let before else {
      self.before = totals
      return
    }
    // Spans begin at multiples of their length: publications, a second apart at times, would stretch them otherwise.
    guard now.monotonic / ChartHistory.span > before.monotonic / ChartHistory.span else { return }
    let seconds = Double(now.monotonic - before.monotonic) / 1e9
    if points.count == ChartHistory.capacity { points.removeFirst() }
    points.append(
      ChartPoint(
        end: now.wall, transactionsPerSecond: Double(totals.transactions &- before.transactions) / seconds,
        keysPerSecond: Double(totals.keys &- before.keys) / seconds,
        latency: LatencyQuantiles(totals.commitToDelete, since: before.commitToDelete),
        lagBytes: lagBytes))
    self.before = totals
  }
}
