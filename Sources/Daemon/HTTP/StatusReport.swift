import FoundationEssentials
import Hummingbird
import Invalidation

/// `/status`: where everything stands, for people and tools.
enum StatusPage {
  static func page(_ board: StatusBoard, _ identity: DaemonIdentity) -> Page {
    Page(path: "/status", summary: "positions, lag, rates, rules, targets, flushes, last errors") { _, _ in
      .json(.ok, StatusReport(board.snapshot(), identity))
    }
  }
}

/// The JSON of `/status`. Positions are printed as PostgreSQL prints them; times are UTC; fields that do not apply
/// are left out.
struct StatusReport: Codable {
  struct Obstacle: Codable {
    let check: String
    let message: String
  }

  struct Source: Codable {
    /// Without a password.
    let address: String?
    let mode: String?
    let connected: Bool
    let streaming: Bool
    let lastMessageAgeSeconds: Double?
    let retries: UInt64
    let reconnects: UInt64
  }

  struct Positions: Codable {
    let server: String
    let received: String
    let applied: String
    let settled: String
    let confirmed: String
  }

  /// What PostgreSQL keeps for cdcd, as it told within the last seconds.
  struct Retention: Codable {
    let walBytes: UInt64?
    let safeWalBytes: UInt64?
    let walStatus: String?
    let outboxRows: UInt64?
  }

  struct Latency: Codable {
    let p50Milliseconds: Double
    let p99Milliseconds: Double
  }

  struct RatePerSecond: Codable {
    let windowSeconds: Int
    let transactions: Double
    let keys: Double
    /// Absent when nothing was deleted in the window.
    let commitToDelete: Latency?
  }

  struct Totals: Codable {
    let transactions: UInt64
    let keysDeleted: UInt64
    let keysHit: UInt64
    let gaps: UInt64
    let flushes: UInt64
    let flushedKeys: UInt64
    let lineageBreaks: UInt64
    let replayedTransactions: UInt64
  }

  struct RuleCount: Codable {
    let name: String
    let keysDeleted: UInt64
  }

  struct Target: Codable {
    let name: String
    let connected: Bool
    let applied: String
    let unacknowledgedBytes: Int
    let lastError: String?
  }

  struct Replica: Codable {
    let name: String
    let reachable: Bool
    let replayed: String?
    let problem: String?
  }

  struct SecondDeletes: Codable {
    let done: UInt64
    let pending: Int
  }

  struct Parked: Codable {
    let transactions: Int
    let oldestXid: UInt32?
  }

  struct Flush: Codable {
    let rule: String
    let reason: String
    let explanation: String
    let phase: String
    let scannedKeys: UInt64
    let deletedKeys: UInt64
    let waitsFor: String?
  }

  struct LoggedError: Codable {
    let at: String
    let count: Int
    let severity: String
    let cause: String
    let message: String
    let lsn: String?
    let xid: UInt32?
    let rule: String?
  }

  let version: String
  let uptimeSeconds: Double
  let ready: Bool
  let notReady: [Obstacle]
  /// What is wrong although it is ready.
  let degraded: [Obstacle]
  let source: Source
  let positions: Positions
  let lagBytes: UInt64?
  let retention: Retention?
  let queueBytes: Int
  let rates: [RatePerSecond]
  let totals: Totals
  let rules: [RuleCount]
  let targets: [Target]
  let replicas: [Replica]
  let secondDeletes: SecondDeletes
  let parked: Parked
  let flushes: [Flush]
  let lastErrors: [LoggedError]
  /// The newest first.
  let lastInvalidations: [DeletionReport]
}

extension StatusReport {
  init(_ snapshot: StatusBoard.Snapshot, _ identity: DaemonIdentity) {
    let status = snapshot.status
    let statistics = snapshot.statistics
    version = identity.version
    uptimeSeconds = (identity.started.duration(to: .now) / .seconds(1)).rounded(toPlaces: 3)
    notReady = snapshot.obstacles.map { Obstacle(check: $0.check, message: $0.message) }
    degraded = status.degraded.map { Obstacle(check: $0.check, message: $0.message) }
    ready = notReady.isEmpty
    source = Source(
      address: identity.source?.redacted, mode: identity.source?.mode.rawValue,
      connected: status.sourceConnected, streaming: status.streaming,
      lastMessageAgeSeconds: snapshot.lastMessageAge.map {
        ($0 + snapshot.age / .seconds(1)).rounded(toPlaces: 3)
      },
      retries: statistics.sourceRetries, reconnects: statistics.sourceReconnects)
    positions = Positions(status)
    lagBytes = snapshot.lagBytes
    retention = status.retention.map(Retention.init)
    queueBytes = status.queueBytes
    rates = snapshot.rates.map {
      RatePerSecond(
        windowSeconds: $0.window, transactions: $0.transactionsPerSecond.rounded(toPlaces: 1),
        keys: $0.keysPerSecond.rounded(toPlaces: 1), commitToDelete: $0.latency.map(Latency.init))
    }
    totals = Totals(statistics)
    rules = zip(statistics.ruleNames, statistics.keysDeleted).map { RuleCount(name: $0, keysDeleted: $1) }
    targets = status.targets.map {
      Target(
        name: $0.name, connected: $0.connected, applied: $0.applied.description,
        unacknowledgedBytes: $0.unacknowledgedBytes, lastError: $0.lastError)
    }
    replicas = status.replicas.map {
      Replica(
        name: $0.name, reachable: $0.isReachable, replayed: $0.replayed?.description, problem: $0.problem)
    }
    secondDeletes = SecondDeletes(done: statistics.secondDeletes, pending: status.pendingSecondDeletes)
    parked = Parked(transactions: status.parkedTransactions, oldestXid: status.oldestParked)
    flushes = status.openFlushes.map(Flush.init)
    lastErrors = snapshot.recentNotices.map(LoggedError.init)
    lastInvalidations = snapshot.history.latestDeletions.map {
      DeletionReport($0.key, isCut: $0.isCut, $0.deletion)
    }
  }
}

extension StatusReport.Latency {
  init(_ quantiles: LatencyQuantiles) {
    p50Milliseconds = (quantiles.p50 / 1_000).rounded(toPlaces: 3)
    p99Milliseconds = (quantiles.p99 / 1_000).rounded(toPlaces: 3)
  }
}

extension StatusReport.Positions {
  init(_ status: EngineStatus) {
    server = status.serverEnd.description
    received = status.received.description
    applied = status.applied.description
    settled = status.settled.description
    confirmed = status.confirmed.description
  }
}

extension StatusReport.Retention {
  init(_ retention: ServerRetention) {
    walBytes = retention.wal?.bytes
    safeWalBytes = retention.wal?.safeBytes
    walStatus = retention.wal?.status?.rawValue
    outboxRows = retention.outboxRows
  }
}

extension StatusReport.Totals {
  init(_ statistics: Statistics) {
    transactions = statistics.transactions
    keysDeleted = statistics.allKeysDeleted
    keysHit = statistics.keysHit
    gaps = statistics.gaps.reduce(0) { $0 &+ $1.count }
    flushes = statistics.flushes
    flushedKeys = statistics.flushedKeys
    lineageBreaks = statistics.lineageBreaks
    replayedTransactions = statistics.replayedTransactions
  }
}

extension StatusReport.Flush {
  init(_ flush: EngineStatus.Flush) {
    rule = flush.rule
    reason = flush.reason.rawValue
    explanation = flush.reason.explanation
    phase = flush.phase
    scannedKeys = flush.scannedKeys
    deletedKeys = flush.deletedKeys
    waitsFor = flush.waitsFor
  }
}

extension StatusReport.LoggedError {
  init(_ recorded: RecordedNotice) {
    at = recorded.at.iso8601
    count = recorded.count
    severity = recorded.notice.severity == .error ? "error" : "warning"
    cause = recorded.notice.cause
    message = recorded.notice.message
    lsn = recorded.notice.lsn?.description
    xid = recorded.notice.xid
    rule = recorded.notice.rule
  }
}

extension Double {
  /// As many digits as a reader can use.
  func rounded(toPlaces places: Int) -> Double {
    var scale = 1.0
    for _ in 0..<places { scale *= 10 }
    return (self * scale).rounded() / scale
  }
}
