import FoundationEssentials
import Invalidation
import NIOCore

/// The JSON of an event of `/events`: what `/status` and `/healthz` say, and the chart.
struct EventReport: Encodable {
  struct Point: Encodable {
    /// Milliseconds since 1970-01-01 00:00 UTC, as JavaScript counts.
    let at: Int64
    let transactions: Double
    let keys: Double
    let p50Milliseconds: Double?
    let p99Milliseconds: Double?
    let lagBytes: UInt64?
  }

  /// The daemon's own time, to which the others belong.
  let now: String
  /// Since when it is ready, or is not.
  let since: String?
  let status: StatusReport
  let checks: [HealthReport.Check]
  /// The oldest first.
  let chart: [Point]

  /// How many points each event has: a client that missed no more of them keeps a whole chart.
  static let newestPoints = 15

  init(_ snapshot: StatusBoard.Snapshot, _ identity: DaemonIdentity, points: Int) {
    let health = HealthReport(snapshot)
    now = Date.now.iso8601
    since = health.stateSince?.iso8601
    status = StatusReport(snapshot, identity)
    checks = health.checks
    chart = snapshot.chart.suffix(points).map(Point.init)
  }

  /// As it is sent. An encoder's strings have no end of line.
  var text: String {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    encoder.keyEncodingStrategy = .convertToSnakeCase
    do {
      return "data: \(String(decoding: try encoder.encode(self), as: UTF8.self))\n\n"
    } catch {
      // A comment: the page then says that it hears nothing.
      return ": the status cannot be written as JSON: \(error)\n\n"
    }
  }

  var event: ByteBuffer { ByteBuffer(string: text) }
}

extension EventReport.Point {
  init(_ point: ChartPoint) {
    let latency = point.latency.map(StatusReport.Latency.init)
    at = Int64((postgresTime(point.end).timeIntervalSince1970 * 1_000).rounded())
    transactions = point.transactionsPerSecond.rounded(toPlaces: 1)
    keys = point.keysPerSecond.rounded(toPlaces: 1)
    p50Milliseconds = latency?.p50Milliseconds
    p99Milliseconds = latency?.p99Milliseconds
    lagBytes = point.lagBytes
  }
}
