import Invalidation

/// Everything that the descriptors may read, taken once for each scrape.
struct MetricsInput {
  var version: String
  var snapshot: StatusBoard.Snapshot
  /// The age of the snapshot in seconds.
  var age: Double
  /// Whether `/readyz` says so.
  var isReady: Bool
  /// Nil where the system does not tell.
  var process: ProcessFacts?

  var status: EngineStatus { snapshot.status }
  var statistics: Statistics { snapshot.statistics }

  /// Seconds since the oldest parked transaction was received.
  var parkedAge: Double {
    status.parkedSince.map { Double(max(0, snapshot.moment.monotonic - $0)) / 1e9 + age } ?? 0
  }
}

extension StatusBoard.Snapshot {
  /// The WAL, in bytes, that the server has written and that is not settled; nil before the first position.
  var lagBytes: UInt64? {
    guard status.settled > .zero, status.serverEnd > .zero else { return nil }
    return status.serverEnd.distance(from: status.settled)
  }

  /// Seconds from the server's last message to the last publication; nil before the first message.
  var lastMessageAge: Double? {
    status.lastMessage.map { Double(max(0, moment.monotonic - $0)) / 1e9 }
  }
}

extension LSN {
  /// Bytes of WAL between two positions; zero when this one is the earlier.
  func distance(from earlier: LSN) -> UInt64 {
    rawValue > earlier.rawValue ? rawValue - earlier.rawValue : 0
  }
}

extension MetricHistogram {
  /// The same histogram with bounds and sum in seconds.
  init(_ histogram: Histogram) {
    var total: UInt64 = 0
    buckets = zip(Histogram.bounds, histogram.counts).map { bound, count in
      total += count
      return (upperBound: Double(bound) / 1e6, cumulativeCount: total)
    }
    count = histogram.count
    sum = Double(histogram.sum) / 1e6
  }
}
