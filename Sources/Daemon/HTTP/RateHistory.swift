import Invalidation

/// How much was done per second, and how fast, over the last seconds.
package struct Rate: Sendable, Equatable {
  /// The window that was asked for, in seconds; a young daemon has seen less.
  package var window: Int
  package var transactionsPerSecond: Double
  package var keysPerSecond: Double
  /// Commit to acknowledged delete; nil when nothing was deleted meanwhile.
  package var latency: LatencyQuantiles?
}

/// The totals of the last minute, one sample a second.
struct RateHistory {
  private struct Sample {
    var monotonic: Int64
    var transactions: UInt64
    var keys: UInt64
    var commitToDelete: Histogram
  }

  private static let windows = [1, 10, 60]
  private static let capacity = 62

  private var samples: [Sample] = []
  private var latest: Sample?

  /// `now` is in monotonic nanoseconds.
  mutating func record(_ statistics: Statistics, at now: Int64) {
    let sample = Sample(
      monotonic: now, transactions: statistics.transactions, keys: statistics.allKeysDeleted,
      commitToDelete: statistics.commitToDelete)
    latest = sample
    if let last = samples.last, now - last.monotonic < 1_000_000_000 { return }
    samples.append(sample)
    if samples.count > RateHistory.capacity { samples.removeFirst() }
  }

  /// Empty until two publications lie apart.
  var rates: [Rate] {
    guard let latest else { return [] }
    return RateHistory.windows.compactMap { window in
      let start = latest.monotonic - Int64(window) * 1_000_000_000
      // The last sample before the window; a window is never shorter than it claims, except in a young daemon.
      guard let first = samples.last(where: { $0.monotonic <= start }) ?? samples.first else { return nil }
      let seconds = Double(latest.monotonic - first.monotonic) / 1e9
      guard seconds > 0 else { return nil }
      return Rate(
        window: window,
        transactionsPerSecond: Double(latest.transactions &- first.transactions) / seconds,
        keysPerSecond: Double(latest.keys &- first.keys) / seconds,
        latency: LatencyQuantiles(latest.commitToDelete, since: first.commitToDelete))
    }
  }
}
