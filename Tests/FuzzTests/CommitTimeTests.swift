import Testing

@testable import Invalidation

/// A commit carries the time that its session says it has, where it set up a replication origin:
/// `pg_replication_origin_xact_setup` takes any time, infinity too.
@Suite struct CommitTimeTests {
  private static let modes: [SourceMode] = [.pgoutput, .wal2json]

  /// A time, and how wal2json prints it. 1 s is what the harness's clock shows at first; the start takes 3 s.
  struct Time: Sendable {
    let microseconds: Int64
    let text: String

    static let past = Time(microseconds: .min, text: "-infinity")
    static let future = Time(microseconds: .max, text: "infinity")
    static let earliest = Time(microseconds: -211_813_488_000_000_000, text: "4714-11-24 00:00:00+00 BC")
    static let latest = Time(
      microseconds: 9_223_371_331_199_999_999, text: "294276-12-31 23:59:59.999999+00")
    static let first = Time(microseconds: 1_000_000, text: "2000-01-01 00:00:01+00")
    static let next = Time(microseconds: 60_000_000, text: "2000-01-01 00:01:00+00")
  }

  private static func begin(_ mode: SourceMode, _ time: Time) -> [UInt8] {
    mode == .pgoutput
      ? Array("B".utf8) + bigEndian(0x2000) + bigEndian(time.microseconds) + bigEndian(UInt32(742))
      : Array(
        #"{"action":"B","xid":742,"timestamp":"\#(time.text)","lsn":"0/2000","nextlsn":"0/2030"}"#.utf8)
  }

  private static func transaction(_ mode: SourceMode, _ time: Time) -> [[UInt8]] {
    mode == .pgoutput ? [begin(mode, time)] + binaryRow + [binaryCommit(time)] : texts(time)
  }

  private static let columns = ["id", "email", "name"]

  /// The table, and a row in it.
  private static let binaryRow = [
    columns.reduce(into: Array("R".utf8) + bigEndian(UInt32(7)) + Array("public\0users\0f".utf8) + [0, 3]) {
      $0 += [1] + Array("\($1)\0".utf8) + bigEndian(UInt32(25)) + bigEndian(UInt32.max)
    },
    columns.reduce(into: Array("I".utf8) + bigEndian(UInt32(7)) + Array("N".utf8) + [0, 3]) { bytes, _ in
      bytes += Array("t".utf8) + bigEndian(UInt32(1)) + Array("7".utf8)
    },
  ]

  private static func binaryCommit(_ time: Time) -> [UInt8] {
    Array("C\0".utf8) + bigEndian(0x2000) + bigEndian(0x2030) + bigEndian(time.microseconds)
  }

  private static func texts(_ time: Time) -> [[UInt8]] {
    let values = columns.map { #"{"name":"\#($0)","type":"text","value":"7"}"# }.joined(separator: ",")
    return [
      begin(.wal2json, time),
      Array(#"{"action":"I","schema":"public","table":"users","columns":[\#(values)]}"#.utf8),
      Array(#"{"action":"C","xid":742,"timestamp":"\#(time.text)","lsn":"0/2000","nextlsn":"0/2030"}"#.utf8),
    ]
  }

  private static func bigEndian<Integer: FixedWidthInteger>(_ value: Integer) -> [UInt8] {
    stride(from: Integer.bitWidth - 8, through: 0, by: -8).map { UInt8(truncatingIfNeeded: value >> $0) }
  }

  private static func bigEndian(_ value: Int) -> [UInt8] { bigEndian(Int64(value)) }

  /// A transaction without changes.
  private static func commit(_ mode: SourceMode, _ time: Time, in harness: inout EngineHarness) throws {
    let messages = transaction(mode, time)
    for message in [messages[0], messages[messages.count - 1]] { try harness.perform(.message(message)) }
  }

  @Test("no time hurts, and an infinite one says nothing of how far behind the stream is", arguments: modes)
  func behind(mode: SourceMode) throws {
    for (time, isBehind) in [
      (Time.next, false), (.first, true), (.latest, false), (.earliest, true),
    ] {
      var harness = try EngineHarness(mode)
      try Self.commit(mode, time, in: &harness)
      #expect(harness.engine.isBehind(at: harness.now) == isBehind, "\(time)")
      for infinite in [Time.past, .future] {
        try Self.commit(mode, infinite, in: &harness)
        #expect(harness.engine.isBehind(at: harness.now) == isBehind, "\(infinite) after \(time)")
      }
    }
    // Before any other, all are taken for late.
    for infinite in [Time.past, .future] {
      var harness = try EngineHarness(mode)
      try Self.commit(mode, infinite, in: &harness)
      #expect(harness.engine.isBehind(at: harness.now))
    }
  }

  @Test(
    "its keys are deleted as any other's; how long that took is not told of an infinite one", arguments: modes
  )
  func deleted(mode: SourceMode) throws {
    for (time, isTimed) in [
      (Time.past, false), (.future, false), (.first, true), (.earliest, true), (.latest, true),
    ] {
      var harness = try EngineHarness(mode)
      for message in Self.transaction(mode, time) {
        try harness.perform(.message(message))
        try harness.perform(.answer([]))
      }
      try harness.perform(.pass(5))
      try harness.perform(.answer([]))
      try harness.perform(.pass(5))
      try harness.perform(.acknowledge(.max, isBoasting: false))
      let engine = harness.engine
      #expect(engine.statistics.malformedMessages == 0, "\(time)")
      // The first round of the start's flush is done, and its second one is not.
      #expect(engine.flushes.open.allSatisfy { $0.reason == .watermarkMissing }, "\(time)")
      let deletion = try #require(engine.history.lastDeletion(of: Array("user:7".utf8)), "\(time)")
      #expect(
        deletion.cause == .commit(xid: 742, position: LSN(0x2000), time: time.microseconds), "\(time)")
      #expect((deletion.delay != nil) == isTimed, "\(time)")
      let histogram = engine.statistics.commitToDelete
      #expect(histogram.count == (isTimed ? 1 : 0), "\(time)")
      #expect(histogram.sum == deletion.delay ?? 0, "\(time)")
    }
  }

  @Test("durations beyond what can be counted")
  func sums() {
    var histogram = Histogram()
    for duration: Int64 in [.max, .max, .min, 1] { histogram.record(duration) }
    #expect(histogram.count == 4)
    #expect(histogram.sum == .max)
    #expect(histogram.counts.first == 2)
    #expect(histogram.counts.last == 2)
  }
}
