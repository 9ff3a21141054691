import Testing

@testable import Daemon
@testable import Invalidation

@Suite struct MetricsTests {
  private func render(_ status: EngineStatus, _ statistics: Statistics = Statistics()) -> String {
    let board = StatusBoard()
    board.publish(status, statistics, at: Moment(monotonic: 5_000_000_000, wall: 0))
    return MetricsPage.render(board.snapshot(), DaemonIdentity(version: "1.2.3"))
  }

  @Test func everyFamilyIsDescribedOnce() {
    let names = Metric.all.map(\.name)
    #expect(Set(names).count == names.count)
    for metric in Metric.all {
      #expect(metric.name.hasPrefix("cdcd_") || metric.name.hasPrefix("process_"))
      #expect(metric.help.hasSuffix("."))
      #expect((metric.kind == .counter) == metric.name.hasSuffix("_total"))
    }
  }

  @Test func counterAndGaugeLines() throws {
    var status = settledStatus(0x16B_3748)
    status.serverEnd = LSN(0x16B_3748 + 4_096)
    status.lastMessage = 3_500_000_000
    var target = EngineStatus.Target(name: "redis")
    target.connected = true
    status.targets = [target]
    var statistics = Statistics()
    statistics.transactions = 42
    statistics.ruleNames = ["users", "orders"]
    statistics.keysDeleted = [7, 9]
    statistics.tables = [TableName(schema: "public", name: "users")]
    statistics.changes = [[1, 2, 3, 4]]
    statistics.redisErrors = [.init(target: 0, kind: "readonly", count: 2)]
    statistics.gaps = [.init(reason: .newSlot, count: 1)]
    let lines = render(status, statistics).split(separator: "\n").map(String.init)
    let expected = [
      "# HELP cdcd_transactions_total Transactions received; with wal2json also those that changed no ruled table.",
      "# TYPE cdcd_transactions_total counter",
      "cdcd_transactions_total 42",
      "cdcd_build_info{version=\"1.2.3\"} 1",
      "cdcd_ready 1",
      "cdcd_source_connected 1",
      "cdcd_redis_connected{target=\"redis\"} 1",
      "cdcd_redis_errors_total{target=\"redis\",kind=\"connection\"} 0",
      "cdcd_redis_errors_total{target=\"redis\",kind=\"readonly\"} 2",
      "cdcd_parked_age_seconds 0.0",
      "cdcd_keys_deleted_total{rule=\"users\"} 7",
      "cdcd_keys_deleted_total{rule=\"orders\"} 9",
      "cdcd_changes_total{table=\"public.users\",op=\"insert\"} 1",
      "cdcd_changes_total{table=\"public.users\",op=\"truncate\"} 4",
      "cdcd_gaps_total{reason=\"new_slot\"} 1",
      "cdcd_gaps_total{reason=\"truncate\"} 0",
      "cdcd_lag_bytes 4096",
      "cdcd_settled_lsn 23803720",
      "cdcd_retries_total{side=\"source\"} 0",
    ]
    for line in expected { #expect(lines.contains(line), "\(line)") }
    let age = try #require(lines.first { $0.hasPrefix("cdcd_last_message_age_seconds ") })
    let seconds = try #require(Double(age.split(separator: " ")[1]))
    #expect((1.5..<60).contains(seconds))
  }

  @Test func nothingToTellLeavesTheFamilyOut() {
    let text = render(EngineStatus())
    #expect(!text.contains("cdcd_last_message_age_seconds"))
    #expect(!text.contains("cdcd_lag_bytes"))
    #expect(!text.contains("cdcd_redis_connected"))
    #expect(!text.contains("cdcd_slot_"))
    #expect(!text.contains("cdcd_outbox_rows"))
    var waiting = EngineStatus()
    waiting.lastMessage = 0
    #expect(render(waiting).contains("cdcd_last_message_age_seconds"))
    waiting.waitsForTransaction = true
    #expect(!render(waiting).contains("cdcd_last_message_age_seconds"))
  }

  @Test func everyCountIsThereBeforeTheFirst() {
    var status = EngineStatus()
    status.targets = [EngineStatus.Target(name: "redis")]
    var statistics = Statistics()
    statistics.count([Rule(name: "users", table: TableName(schema: "public", name: "users"), templates: [])])
    let lines = render(status, statistics).split(separator: "\n")
    for metric in Metric.all where metric.kind == .counter && !metric.name.hasPrefix("process_") {
      let samples = lines.filter { $0.hasPrefix(metric.name + " ") || $0.hasPrefix(metric.name + "{") }
      #expect(!samples.isEmpty, "\(metric.name)")
      #expect(samples.allSatisfy { $0.hasSuffix(" 0") }, "\(samples)")
    }
    #expect(lines.count { $0.hasPrefix("cdcd_gaps_total{") } == GapReason.allCases.count)
  }

  @Test func whatTheServerKeepsIsToldOfASlotOrOfAnOutbox() {
    var status = EngineStatus()
    status.retention = .slot(RetainedWAL(bytes: 3_000, safeBytes: 1_000, status: .extended))
    let slot = render(status).split(separator: "\n").filter { $0.hasPrefix("cdcd_slot_") }
    #expect(
      slot == [
        "cdcd_slot_retained_bytes 3000", "cdcd_slot_safe_wal_size_bytes 1000",
        "cdcd_slot_wal_status{status=\"reserved\"} 0", "cdcd_slot_wal_status{status=\"extended\"} 1",
        "cdcd_slot_wal_status{status=\"unreserved\"} 0", "cdcd_slot_wal_status{status=\"lost\"} 0",
      ])
    status.retention = .slot(RetainedWAL(bytes: 3_000, safeBytes: nil, status: nil))
    let unlimited = render(status).split(separator: "\n").filter { $0.hasPrefix("cdcd_slot_") }
    #expect(unlimited == ["cdcd_slot_retained_bytes 3000"])
    status.retention = .outbox(rows: 12)
    let text = render(status)
    #expect(text.contains("\ncdcd_outbox_rows 12\n"))
    #expect(!text.contains("cdcd_slot_"))
  }

  @Test func aParkedTransactionGrowsOld() throws {
    var status = EngineStatus()
    status.parkedSince = 2_000_000_000
    let line = try #require(
      render(status).split(separator: "\n").first { $0.hasPrefix("cdcd_parked_age_seconds ") })
    let seconds = try #require(Double(line.split(separator: " ")[1]))
    #expect((3..<60).contains(seconds))
  }

  @Test func histogramsAreCumulativeSeconds() {
    var statistics = Statistics()
    for microseconds: Int64 in [50, 100, 101, 2_000_000, 90_000_000] {
      statistics.commitToDelete.record(microseconds)
    }
    let text = render(EngineStatus(), statistics)
    let lines = text.split(separator: "\n").filter { $0.hasPrefix("cdcd_commit_to_delete_seconds") }
    #expect(lines.first == "cdcd_commit_to_delete_seconds_bucket{le=\"5e-05\"} 1")
    #expect(lines.contains("cdcd_commit_to_delete_seconds_bucket{le=\"0.0001\"} 2"))
    #expect(lines.contains("cdcd_commit_to_delete_seconds_bucket{le=\"0.00015\"} 3"))
    #expect(lines.contains("cdcd_commit_to_delete_seconds_bucket{le=\"2.0\"} 4"))
    #expect(lines.contains("cdcd_commit_to_delete_seconds_bucket{le=\"60.0\"} 4"))
    #expect(lines.contains("cdcd_commit_to_delete_seconds_bucket{le=\"+Inf\"} 5"))
    #expect(lines.contains("cdcd_commit_to_delete_seconds_sum 92.000251"))
    #expect(lines.last == "cdcd_commit_to_delete_seconds_count 5")
  }

  @Test func labelsAreEscaped() {
    var statistics = Statistics()
    statistics.ruleNames = ["a\"b\\c\nd"]
    statistics.keysDeleted = [1]
    let text = render(EngineStatus(), statistics)
    #expect(text.contains("cdcd_keys_deleted_total{rule=\"a\\\"b\\\\c\\nd\"} 1\n"))
  }

  @Test func processFactsComeFromTheirFields() throws {
    // The name in parentheses may hold anything.
    let after = (3...52).map { $0 == 3 ? "S" : String($0 * 10) }.joined(separator: " ")
    let facts = try #require(
      ProcessFacts(
        stat: "7 (a ) b) \(after)\n", bootTime: 1_000, ticksPerSecond: 100, pageSize: 4_096, openFiles: 5,
        maximumFiles: 6))
    #expect(facts.cpuSeconds == 2.9)
    #expect(facts.startTime == 1002.2)
    #expect(facts.virtualBytes == 230)
    #expect(facts.residentBytes == 240 * 4_096)
  }

  @Test func malformedProcessFactsAreRefused() {
    for stat in ["", "7 (a) S 1 2", "no parenthesis"] {
      #expect(
        ProcessFacts(
          stat: stat, bootTime: 1, ticksPerSecond: 100, pageSize: 1, openFiles: 1, maximumFiles: 1)
          == nil)
    }
  }

  @Test func thisProcessHasFacts() throws {
    let facts = try ProcessFacts.current()
    #expect(facts.residentBytes > 1_000_000)
    #expect(facts.openFiles > 2 && facts.openFiles < facts.maximumFiles)
    #expect(facts.startTime > 1_600_000_000)
  }
}
