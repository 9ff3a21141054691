import Dispatch
import FoundationEssentials
import Invalidation
import Logging
import Synchronization
import Testing

@testable import Daemon

/// What a log queue has written.
private final class Written: Sendable {
  private let text = Mutex("")

  func append(_ more: String) { text.withLock { $0 += more } }

  var lines: [String] { text.withLock { $0.split(separator: "\n").map { $0 + "\n" } } }
}

/// Collects what a log handler writes.
private final class Lines: Sendable {
  private let written: Written
  private let queue: LogQueue

  init() {
    let written = Written()
    self.written = written
    queue = LogQueue { written.append($0) }
  }

  var all: [String] {
    queue.flush(within: .seconds(20))
    return written.lines
  }

  func logger(_ format: LineLogHandler.Format, level: Logger.Level = .info) -> Logger {
    Logger(label: "test") { _ in
      LineLogHandler(format: format, level: level, queue: self.queue)
    }
  }
}

@Suite struct LoggingTests {
  private let time = Date(timeIntervalSince1970: 1_795_419_180.125)

  private func line(
    _ format: LineLogHandler.Format, _ message: String, _ fields: [(name: String, value: String)] = []
  ) -> String {
    LineLogHandler(format: format, level: .info).line(.warning, message, fields, at: time)
  }

  @Test func textForPeople() {
    let fields = [(name: "lsn", value: "0/16B3748"), (name: "rule", value: "order status")]
    #expect(
      line(.text, "a message", fields)
        == "2026-11-23T07:33:00.125Z warning a message lsn=0/16B3748 rule=\"order status\"\n")
  }

  @Test func theJournalGetsAPriority() {
    #expect(line(.journal, "a message") == "<4>a message\n")
  }

  @Test func theJournalGetsAPriorityBeforeJSON() {
    #expect(line(.journalJSON, "m").hasPrefix(#"<4>{"time":"2026"#))
  }

  /// A reader that has stopped reading stops nobody else.
  @Test func whoLogsWaitsForNoReader() {
    let gate = DispatchSemaphore(value: 0)
    let written = Written()
    let queue = LogQueue { text in
      gate.wait()
      gate.signal()
      written.append(text)
    }
    let line = String(repeating: "x", count: 1_023) + "\n"
    for number in 0..<3_000 { queue.append("\(number) \(line)") { "\($0) left out\n" } }
    gate.signal()
    queue.flush(within: .seconds(20))
    let lines = written.lines
    #expect((1_000..<1_100).contains(lines.count), "a mebibyte")
    #expect(lines.dropLast().enumerated().allSatisfy { $1.hasPrefix("\($0) ") })
    #expect(lines.last == "\(3_000 - (lines.count - 1)) left out\n")
  }

  @Test func jsonLines() {
    #expect(
      line(.json, "a \"b\"", [(name: "rule", value: "x\\y"), (name: "level", value: "z")])
        == #"{"time":"2026-11-23T07:33:00.125Z","level":"warning","message":"a \"b\"","rule":"x\\y","_level":"z"}"#
        + "\n")
  }

  @Test(arguments: [LineLogHandler.Format.text, .journal, .json])
  func aMessageCannotStartAnotherLine(format: LineLogHandler.Format) {
    let line = line(format, "one\ntwo\u{1B}[31m\u{85}", [(name: "value", value: "three\nfour")])
    #expect(line.filter(\.isNewline).count == 1)
    #expect(line.contains(#"one\ntwo\u001b[31m\u0085"#))
    #expect(line.contains(#"three\nfour"#))
  }

  @Test func theLevelComesFromTheConfiguration() {
    var configuration = Configuration.Log()
    configuration.level = .error
    #expect(Logger(configuration).logLevel == .error)
  }

  @Test func repetitionsAreCounted() {
    var repeated = RepeatedNotice()
    let start = ContinuousClock.now
    let notice = Notice(.warning, "redis_error", "Redis answered LOADING")
    #expect(repeated.judge(notice, at: start) == .log(repeated: 0))
    #expect(repeated.judge(notice, at: start + .seconds(1)) == .leaveOut)
    #expect(repeated.judge(notice, at: start + .seconds(59)) == .leaveOut)
    #expect(repeated.judge(notice, at: start + .seconds(60)) == .log(repeated: 2))
    #expect(repeated.judge(notice, at: start + .seconds(61)) == .leaveOut)
    #expect(repeated.judge(notice, at: start + .seconds(130)) == .log(repeated: 1))
  }

  @Test func aFaultThatEndsIsToldWithItsCount() {
    var repeated = RepeatedNotice()
    let start = ContinuousClock.now
    func notice(_ message: String) -> Notice { Notice(.warning, "redis_error", message) }
    _ = repeated.judge(notice("first"), at: start)
    for second in 1...50 { _ = repeated.judge(notice("\(second)"), at: start + .seconds(second)) }
    #expect(repeated.takeOverdue(at: start + .seconds(59)) == [])
    #expect(
      repeated.takeOverdue(at: start + .seconds(60)) == [
        .init(notice: notice("50"), count: 50, age: .seconds(10))
      ])
    // And once: from here on it is a minute again.
    #expect(repeated.takeOverdue(at: start + .seconds(119)) == [])
    #expect(repeated.judge(notice("another"), at: start + .seconds(119)) == .leaveOut)
    #expect(repeated.takeOverdue(at: start + .seconds(120)).map(\.count) == [1])
    #expect(repeated.judge(notice("a new fault"), at: start + .seconds(300)) == .log(repeated: 0))
  }

  @Test func theEndTellsWhatWasLeftOut() {
    let lines = Lines()
    let log = NoticeLog(logger: lines.logger(.journal))
    for _ in 0..<4 { log.log(Notice(.warning, "redis_error", "Redis is away")) }
    log.log(Notice(.warning, "once", "this one was told"))
    log.logOverdue()
    #expect(lines.all.count == 2)
    log.logOverdue(isEnd: true)
    #expect(lines.all.count == 3)
    #expect(
      lines.all[2].hasPrefix("<4>Redis is away (repeated 3 times, the last 0.0 s ago) cause=redis_error"))
  }

  @Test func changesOfReadinessAreTold() {
    let second: Int64 = 1_000_000_000
    var log = ReadinessLog(startedAt: 0)
    var status = EngineStatus()
    status.notReady = [.init(check: "source", message: "connecting to PostgreSQL")]
    #expect(log.notice(status, rules: 2, now: second) == nil, "a start is no news")
    status.notReady = []
    status.settled = LSN(64)
    status.serverEnd = LSN(81)
    #expect(
      log.notice(status, rules: 2, now: 3 * second)
        == Notice(.notice, "ready", "ready: streaming, lag 17 B, 2 rules; after 3.0 s", lsn: LSN(64)))
    #expect(log.notice(status, rules: 2, now: 4 * second) == nil)
    status.notReady = [
      .init(check: "redis", message: "redis://cache: connecting"), .init(check: "gap", message: "m"),
    ]
    #expect(
      log.notice(status, rules: 2, now: 63 * second)
        == Notice(
          .notice, "not_ready",
          "not ready: redis: redis://cache: connecting (and 1 more, see /readyz); it was ready for 1 min 0 s",
          lsn: LSN(64)))
    status.notReady = []
    status.degraded = [.init(check: "replicas", message: "replica1: no answer")]
    #expect(
      log.notice(status, rules: 1, now: 64 * second)
        == Notice(
          .notice, "ready",
          "ready: streaming, lag 17 B, 1 rule, besides, replicas: replica1: no answer; it was not for 1.0 s",
          lsn: LSN(64)))
  }

  @Test func recoveriesAreTold() {
    var repeated = RepeatedNotice()
    let start = ContinuousClock.now
    let notice = Notice(.info, "streaming", "streaming from 0/1")
    #expect(repeated.judge(notice, at: start) == .log(repeated: 0))
    #expect(repeated.judge(notice, at: start + .milliseconds(900)) == .leaveOut)
    #expect(repeated.judge(notice, at: start + .seconds(2)) == .log(repeated: 1))
  }

  @Test func anotherRuleOrSeverityIsAnotherCause() {
    var repeated = RepeatedNotice()
    let now = ContinuousClock.now
    for notice in [
      Notice(.warning, "gap", "m", rule: "users"), Notice(.warning, "gap", "m", rule: "orders"),
      Notice(.error, "gap", "m", rule: "users"), Notice(.warning, "other", "m", rule: "users"),
    ] {
      #expect(repeated.judge(notice, at: now) == .log(repeated: 0))
      #expect(repeated.judge(notice, at: now) == .leaveOut)
    }
  }

  @Test func historiesAreBounded() {
    var repeated = RepeatedNotice()
    let now = ContinuousClock.now
    for rule in 0..<5_000 {
      #expect(repeated.judge(Notice(.warning, "gap", "m", rule: "\(rule)"), at: now) == .log(repeated: 0))
    }
  }

  @Test func noticesCarryTheirFacts() throws {
    let lines = Lines()
    let log = NoticeLog(logger: lines.logger(.journal))
    let notice = Notice(
      .error, "incomplete_row", "a column is missing", lsn: LSN(0x16B_3748), xid: 7, rule: "users")
    log.log(notice)
    log.log(notice)
    log.log(Notice(.debug, "detail", "below the level"))
    #expect(
      lines.all == ["<3>a column is missing cause=incomplete_row lsn=0/16B3748 rule=users xid=7\n"])
  }

  @Test func noticesReachTheBoard() {
    let lines = Lines()
    let board = StatusBoard()
    let log = NoticeLog(logger: lines.logger(.text), board: board)
    log.log(Notice(.warning, "redis_error", "Redis is away"))
    log.log(Notice(.warning, "redis_error", "Redis is away"))
    #expect(lines.all.count == 1)
    #expect(board.snapshot().recentNotices.map(\.count) == [2])
  }
}
