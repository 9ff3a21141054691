import Invalidation
import Testing

@testable import Daemon

@Suite struct ChartHistoryTests {
  /// Counts 10 transactions and 30 keys a second.
  private static func statistics(at seconds: Double) -> Statistics {
    var statistics = Statistics()
    statistics.transactions = UInt64(seconds * 10)
    statistics.keysDeleted = [UInt64(seconds * 30)]
    return statistics
  }

  private static func moment(_ seconds: Double) -> Moment {
    Moment(monotonic: Int64(seconds * 1e9), wall: Int64(seconds * 1e6))
  }

  @Test func aPointIsASpanOfTwoSeconds() {
    var history = ChartHistory()
    for tenth in 0...100 {
      let seconds = Double(tenth) / 10
      history.record(Self.statistics(at: seconds), lagBytes: UInt64(tenth), at: Self.moment(seconds))
    }
    #expect(history.points.map(\.end) == [2_000_000, 4_000_000, 6_000_000, 8_000_000, 10_000_000])
    #expect(history.points.map(\.lagBytes) == [20, 40, 60, 80, 100])
    for point in history.points {
      #expect(abs(point.transactionsPerSecond - 10) < 0.51)
      #expect(abs(point.keysPerSecond - 30) < 0.51)
      #expect(point.latency == nil)
    }
  }

  @Test func irregularPublicationsDoNotStretchTheSpans() {
    var history = ChartHistory()
    for second in 0...120 {
      let seconds = Double(second) + 0.1 + 0.8 * Double(second % 2)
      history.record(Self.statistics(at: seconds), lagBytes: nil, at: Self.moment(seconds))
    }
    #expect(history.points.count == 60)
  }

  @Test func latencyIsThatOfTheSpan() {
    var history = ChartHistory()
    var statistics = Statistics()
    history.record(statistics, lagBytes: 0, at: Self.moment(0))
    for _ in 0..<10 { statistics.commitToDelete.record(2_000_000) }
    history.record(statistics, lagBytes: 0, at: Self.moment(2))
    for _ in 0..<10 { statistics.commitToDelete.record(310) }
    history.record(statistics, lagBytes: 0, at: Self.moment(4))
    history.record(statistics, lagBytes: 0, at: Self.moment(6))
    #expect(history.points.map { $0.latency.map { $0.p50 > 1_000_000 } } == [true, false, nil])
  }

  @Test func tenMinutesAreKept() {
    var history = ChartHistory()
    for second in 0...1_000 {
      history.record(Statistics(), lagBytes: nil, at: Self.moment(Double(second)))
    }
    #expect(history.points.count == 300)
    #expect(history.points.last?.end == 1_000_000_000)
    #expect(history.points.first?.end == 402_000_000)
  }
}
