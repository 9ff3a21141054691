import FoundationEssentials
import Hummingbird
import Invalidation

extension StatusBoard.Snapshot {
  /// How long ago the event loop published, or was to begin.
  var age: Duration { published.duration(to: .now) }

  /// Why the event loop counts as stalled; nil while it turns.
  var stall: String? {
    guard age > maximumSilence else { return nil }
    return "the event loop has not reported for \(age.components.seconds) seconds"
  }

  /// Why the daemon is not ready, in the Engine's words; empty means ready.
  var obstacles: [EngineStatus.Reason] {
    (stall.map { [EngineStatus.Reason(check: "loop", message: $0)] } ?? []) + status.notReady
  }
}

/// `/livez`: 200 while the event loop turns, whatever PostgreSQL and Redis do.
enum LivePage {
  static func page(_ board: StatusBoard) -> Page {
    Page(path: "/livez", summary: "whether the event loop turns", isPublic: true) { _, _ in
      if let stall = board.snapshot().stall { .text(.serviceUnavailable, stall) } else { .text(.ok, "alive") }
    }
  }
}

/// `/readyz`: 200, or 503 with the reasons. What is wrong besides, and does not make it unready, is told in either case.
/// The reasons name hosts and tables, so that a probe which does not know the token learns the state alone.
enum ReadyPage {
  static func page(_ board: StatusBoard) -> Page {
    Page(path: "/readyz", summary: "whether invalidations flow, and why not", isPublic: true) { _, origin in
      let snapshot = board.snapshot()
      let isReady = snapshot.obstacles.isEmpty
      let lines =
        origin.isTrusted
        ? (snapshot.obstacles + snapshot.status.degraded).map { "\($0.check): \($0.message)" }
        : isReady ? [] : ["the reasons are for those who send http.token of the rules file"]
      return .text(
        isReady ? .ok : .serviceUnavailable,
        ([isReady ? "ready" : "not ready"] + lines).joined(separator: "\n"))
    }
  }
}

/// `/healthz`: every check, its state and since when.
enum HealthPage {
  static func page(_ board: StatusBoard) -> Page {
    Page(path: "/healthz", summary: "every check, its state and since when") { _, _ in
      let report = HealthReport(board.snapshot())
      return .json(report.ready ? .ok : .serviceUnavailable, report)
    }
  }
}

/// The JSON of `/healthz`.
struct HealthReport: Codable {
  struct Check: Codable {
    let name: String
    let ok: Bool
    let problem: String?
    /// Absent before the first report of the event loop.
    let since: String?
  }

  let ready: Bool
  let checks: [Check]
}

extension HealthReport {
  init(_ snapshot: StatusBoard.Snapshot) {
    ready = snapshot.obstacles.isEmpty
    let problem = snapshot.stall ?? (snapshot.hasReported ? nil : snapshot.status.notReady.first?.message)
    let loop = Check(name: "loop", ok: problem == nil, problem: problem, since: nil)
    checks =
      [loop]
      + snapshot.checks.map {
        Check(name: $0.name, ok: $0.isPassing, problem: $0.problem, since: postgresTime($0.since).iso8601)
      }
  }
}

/// The date that is so many microseconds after 2000-01-01 00:00 UTC.
func postgresTime(_ microseconds: Int64) -> Date {
  Date(timeIntervalSince1970: 946_684_800 + Double(microseconds) / 1e6)
}

/// What a commit says of when it was, and a row of an outbox: as `Date.iso8601`, or `infinity` or `-infinity`, which a
/// replication origin may set. Before 4713 BC, which is where the format's calendar begins, all is its beginning.
func postgresTimeText(_ microseconds: Int64) -> String {
  switch microseconds {
  case PostgresTimestamp.infinity: "infinity"
  case PostgresTimestamp.minusInfinity: "-infinity"
  default: postgresTime(microseconds).iso8601
  }
}

extension Date {
  /// UTC with milliseconds, `2026-11-23T07:33:00.123Z`.
  var iso8601: String { formatted(Date.ISO8601FormatStyle(includingFractionalSeconds: true)) }
}
