import Invalidation

/// Half of the durations, and 99 of 100 of them, are no longer than this; microseconds. Both are estimates between the
/// bounds of the histogram's buckets.
package struct LatencyQuantiles: Sendable, Equatable {
  package var p50: Double
  package var p99: Double

  /// Of what `histogram` has counted since it was `earlier`; nil when that is nothing.
  init?(_ histogram: Histogram, since earlier: Histogram) {
    let counts = zip(histogram.counts, earlier.counts).map { $0 &- $1 }
    guard
      let p50 = Histogram.quantile(0.5, of: counts), let p99 = Histogram.quantile(0.99, of: counts)
    else { return nil }
    self.p50 = p50
    self.p99 = p99
  }
}

extension Histogram {
  /// As Prometheus' `histogram_quantile` has it, so that page and dashboard agree: within a bucket the durations are taken as
  /// evenly spread, and beyond the last bound that bound is the answer. Microseconds; nil when the counts are all zero.
  ///
  /// Source: https://prometheus.io/docs/prometheus/latest/querying/functions/#histogram_quantile
  fileprivate static func quantile(_ part: Double, of counts: [UInt64]) -> Double? {
    let total = counts.reduce(0, &+)
    guard total > 0 else { return nil }
    let rank = part * Double(total)
    var below = 0.0
    for (bucket, bound) in bounds.enumerated() {
      let count = Double(counts[bucket])
      if count > 0, below + count >= rank {
        let start = bucket == 0 ? 0 : Double(bounds[bucket - 1])
        return start + (Double(bound) - start) * (rank - below) / count
      }
      below += count
    }
    return bounds.last.map(Double.init)
  }
}
