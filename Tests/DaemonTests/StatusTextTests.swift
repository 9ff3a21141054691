import Foundation
import Invalidation
import Testing

@testable import Daemon

@Suite struct StatusTextTests {
  private static let now = Date(timeIntervalSince1970: 1_764_057_600)

  private static func text(
    _ snapshot: StatusBoard.Snapshot, source: Configuration.Source = .init(postgres: "host=db dbname=app"),
    isColored: Bool = false
  ) throws -> StatusText {
    let identity = DaemonIdentity(version: "1.2.3", started: .now - .seconds(187_200))
    // As it comes from the daemon.
    let encoder = JSONEncoder()
    encoder.keyEncodingStrategy = .convertToSnakeCase
    let decoder = JSONDecoder()
    decoder.keyDecodingStrategy = .convertFromSnakeCase
    return StatusText(
      try decoder.decode(
        StatusReport.self, from: try encoder.encode(StatusReport(snapshot, identity))),
      try decoder.decode(HealthReport.self, from: try encoder.encode(HealthReport(snapshot))),
      source: source, isColored: isColored, now: now)
  }

  /// Microseconds since 2000, so long before `now`.
  private static func before(_ seconds: Double) -> Int64 {
    Int64((now.timeIntervalSince1970 - 946_684_800 - seconds) * 1_000_000)
  }

  private static func status(_ settled: UInt64) -> EngineStatus {
    var status = settledStatus(settled)
    status.received = LSN(settled)
    status.applied = LSN(settled)
    status.confirmed = LSN(settled)
    var target = EngineStatus.Target(name: "redis://cache:6379/0")
    target.connected = true
    target.applied = LSN(settled)
    status.targets = [target]
    return status
  }

  private static func statistics() -> Statistics {
    var statistics = Statistics()
    statistics.transactions = 1_234_567
    statistics.ruleNames = ["public.users", "orders"]
    statistics.keysDeleted = [2_000_000, 7]
    statistics.keysHit = 12
    return statistics
  }

  @Test func isAPageThatFitsATerminal() throws {
    let board = StatusBoard(maximumSilence: .seconds(3_600))
    var status = Self.status(0x16B_3748)
    status.confirmed = LSN(0x16B_0000)
    status.retention = .slot(RetainedWAL(bytes: 16_384, safeBytes: 1 << 30, status: .reserved))
    board.publish(status, Self.statistics(), at: Moment(monotonic: 1, wall: Self.before(7_500)))
    let page = try Self.text(board.snapshot())
    #expect(page.isReady)
    #expect(
      page.text == """
        cdcd 1.2.3 is ready since 2025-11-25 05:55:00 UTC (2 h 5 min).

        running     2 d 4 h
        source      host=db dbname=app
                    pgoutput, slot cdcd, publication cdcd
                    streaming
        lag         none: all that PostgreSQL has told of is out of the cache
        positions   server     0/16B3748
                    received   0/16B3748
                    applied    0/16B3748
                    settled    0/16B3748
                    confirmed  0/16B0000         13.8 KiB behind, for a replay
        retained    16.0 KiB of WAL for the slot, 1.0 GiB more may be written before it
                    is lost
        redis       redis://cache:6379/0
                    connected, at 0/16B3748
        in all      1,234,567 transactions, 2,000,007 keys deleted, 12 of which were
                    cached

        RULE                                            KEYS DELETED
          public.users                                     2,000,000
          orders                                                   7
        """)
  }

  @Test func saysWhyItIsNotReadyAndHowFarItIs() throws {
    let board = StatusBoard(maximumSilence: .seconds(3_600))
    var status = Self.status(1)
    board.publish(status, Self.statistics(), at: Moment(monotonic: 1, wall: Self.before(7_500)))
    status.targets[0].connected = false
    status.targets[0].lastError = "connection refused"
    status.notReady = [
      .init(check: "redis", message: "redis://cache:6379/0: connection refused"),
      .init(check: "gap", message: "rule public.users is being flushed"),
      .init(check: "gap", message: "rule orders is being flushed"),
    ]
    status.openFlushes = ["public.users", "orders"].map {
      .init(rule: $0, reason: .newSlot, phase: "values", scannedKeys: 1_500, deletedKeys: 1_499)
    }
    status.parkedTransactions = 1
    status.oldestParked = 777
    status.replicas = [.init(name: "host=replica")]
    board.publish(status, Self.statistics(), at: Moment(monotonic: 2, wall: Self.before(3)))
    board.record(Notice(.error, "redis_error", "Redis is away: \u{1B}[2J"))
    let page = try Self.text(board.snapshot())
    #expect(!page.isReady)
    #expect(
      page.text.hasPrefix(
        """
        cdcd 1.2.3 is NOT READY since 2025-11-25 07:59:57 UTC (3.0 s).
          redis: redis://cache:6379/0: connection refused
          gap: 2 rules to be flushed, see below

        """))
    for part in [
      "            NOT CONNECTED\n            connection refused\n",
      "replica     host=replica\n            NOT REACHABLE\n",
      "parked      1 transaction, committed and not visible yet; the oldest is xid 777\n",
      """
      OPEN FLUSHES
        public.users, orders: the replication slot is new: changes before it cannot
          be streamed
          values: 1,500 keys found, 1,499 deleted

      """,
      #" UTC error: "Redis is away: \u{1B}[2J""#,
    ] {
      #expect(page.text.contains(part), "\(page.text)")
    }
    #expect(page.text.split(separator: "\n").allSatisfy { $0.count <= 80 && $0.last != " " })
  }

  @Test func isColoredForATerminalAlone() throws {
    let board = StatusBoard(maximumSilence: .seconds(3_600))
    #expect(try !Self.text(board.snapshot()).text.contains("\u{1B}"))
    #expect(
      try Self.text(board.snapshot(), isColored: true).text.hasPrefix("cdcd 1.2.3 is \u{1B}[1;31mNOT READY"))
  }

  @Test func anOutboxHasNoSlot() throws {
    let board = StatusBoard(maximumSilence: .seconds(3_600))
    var status = settledStatus(1)
    status.retention = .outbox(rows: 1_200)
    board.publish(status)
    var source = Configuration.Source(postgres: "host=db")
    source.mode = .notify
    let text = try Self.text(board.snapshot(), source: source).text
    #expect(text.contains("            notify\n"))
    #expect(text.contains("retained    1,200 rows in the outbox\n"))
  }
}
