import Invalidation
import Testing

@testable import Daemon

@Suite struct LatencyQuantilesTests {
  private static func histogram(_ microseconds: [Int64], after earlier: Histogram = Histogram()) -> Histogram
  {
    var histogram = earlier
    for duration in microseconds { histogram.record(duration) }
    return histogram
  }

  private static func isNear(_ value: Double?, _ expected: Double) -> Bool {
    value.map { abs($0 - expected) < 1e-6 } ?? false
  }

  @Test func nothingHasNoQuantiles() {
    let before = Self.histogram([400, 5_000])
    #expect(LatencyQuantiles(Histogram(), since: Histogram()) == nil)
    #expect(LatencyQuantiles(before, since: before) == nil)
  }

  @Test func liesBetweenTheBoundsOfItsBucket() {
    let quantiles = LatencyQuantiles(
      Self.histogram(Array(repeating: 310, count: 100)), since: Histogram())
    // All that is known is that they are between 300 and 500.
    #expect(Self.isNear(quantiles?.p50, 400))
    #expect(Self.isNear(quantiles?.p99, 498))
  }

  @Test func theFirstBucketBeginsAtZero() {
    let quantiles = LatencyQuantiles(Self.histogram([1, 2]), since: Histogram())
    #expect(Self.isNear(quantiles?.p50, 25))
  }

  @Test func onlyWhatCameSinceCounts() {
    let before = Self.histogram(Array(repeating: 2_000_000, count: 1_000))
    let quantiles = LatencyQuantiles(Self.histogram([310, 310], after: before), since: before)
    #expect(Self.isNear(quantiles?.p50, 400))
  }

  @Test func oneSlowInAHundredIsTheEnd() {
    let durations = Array(repeating: Int64(310), count: 98) + [6_000_000, 6_000_000]
    let quantiles = LatencyQuantiles(Self.histogram(durations), since: Histogram())
    #expect(Self.isNear(quantiles?.p99, 6_000_000))
    #expect(quantiles.map { $0.p50 < 500 } == true)
  }

  @Test func beyondTheLastBoundIsTheLastBound() {
    let quantiles = LatencyQuantiles(Self.histogram([600_000_000]), since: Histogram())
    #expect(Self.isNear(quantiles?.p50, 60_000_000))
  }

  @Test func boundsAscendInStepsOfTwoAtMost() {
    for (bound, next) in zip(Histogram.bounds, Histogram.bounds.dropFirst()) {
      #expect(bound < next && next <= 2 * bound, "\(bound) \(next)")
    }
    #expect(Histogram.bounds.first == 50 && Histogram.bounds.last == 60_000_000)
  }
}
