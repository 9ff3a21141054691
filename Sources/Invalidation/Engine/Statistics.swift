/// Everything the Engine counts since it was made. The shell copies it for metrics and status.
package struct Statistics: Sendable, Equatable {
  package var transactions: UInt64 = 0
  /// By table of the rules, in the order of `tables`; four counters each: insert, update, delete, truncate.
  package var changes: [[UInt64]] = []
  package var tables: [TableName] = []
  /// Where each of `tables` stands there.
  private var places: [TableName: Int] = [:]
  /// Keys whose delete was acknowledged, by rule, in the order of the rules.
  package var keysDeleted: [UInt64] = []
  /// The same of rules that were replaced.
  package var keysOfGoneRules: UInt64 = 0
  package var ruleNames: [String] = []
  /// How many of the deleted keys were there.
  package var keysHit: UInt64 = 0
  /// Error replies and broken connections, by target and kind (`readonly`, `oom`, `connection`, ...).
  package var redisErrors: [RedisErrorCount] = []
  package var sourceRetries: UInt64 = 0
  package var redisRetries: UInt64 = 0
  package var sourceReconnects: UInt64 = 0
  package var redisReconnects: UInt64 = 0
  package var barrierWaits: UInt64 = 0
  package var gaps: [GapCount] = []
  /// Keys put into batches a second time, for replicas or `redelete_after`; `keysDeleted` counts them again.
  package var secondDeletes: UInt64 = 0
  package var replicaRetries: UInt64 = 0
  package var flushes: UInt64 = 0
  package var flushedKeys: UInt64 = 0
  package var lineageBreaks: UInt64 = 0
  package var evictedWatermarks: UInt64 = 0
  package var replayedTransactions: UInt64 = 0
  package var malformedMessages: UInt64 = 0
  /// The server's commit time to acknowledged delete.
  package var commitToDelete = Histogram()
  /// Begin received to transaction seen by a snapshot, for those that had to wait.
  package var barrier = Histogram()

  package struct RedisErrorCount: Sendable, Equatable {
    package var target: Int
    package var kind: String
    package var count: UInt64

    package init(target: Int, kind: String, count: UInt64) {
      self.target = target
      self.kind = kind
      self.count = count
    }
  }

  package struct GapCount: Sendable, Equatable {
    package var reason: GapReason
    package var count: UInt64
  }

  package init() {}

  /// Of all rules, also of those that are gone.
  package var allKeysDeleted: UInt64 { keysDeleted.reduce(keysOfGoneRules, &+) }

  /// Begins to count for these rules.
  mutating func count(_ rules: [Rule]) {
    ruleNames = rules.map(\.name)
    keysDeleted = rules.map { _ in 0 }
    tables = []
    places = [:]
    for table in rules.compactMap(\.table) where places[table] == nil {
      places[table] = tables.count
      tables.append(table)
    }
    changes = tables.map { _ in [0, 0, 0, 0] }
  }

  /// The first place among `tables` of one of these.
  func place(ofOneOf names: Set<TableName>) -> Int? { names.compactMap { places[$0] }.min() }

  /// Goes on with other rules: what stays keeps its counts.
  mutating func count(_ rules: [Rule], in places: RuleMapping) {
    let before = self
    count(rules)
    for (old, keys) in before.keysDeleted.enumerated() {
      if let new = places(old) { keysDeleted[new] += keys } else { keysOfGoneRules += keys }
    }
    for (old, table) in before.tables.enumerated() {
      if let new = self.places[table] { changes[new] = before.changes[old] }
    }
  }
}

/// Counts of durations in fixed buckets, as Prometheus wants them.
package struct Histogram: Sendable, Equatable {
  /// Upper bounds in microseconds; one more bucket holds the rest. Six a decade, since a quantile that is read from
  /// buckets is no better than the distance between their bounds.
  package static let bounds: [Int64] = [
    50, 70, 100, 150, 200, 300, 500, 700, 1_000, 1_500, 2_000, 3_000, 5_000, 7_000,
    10_000, 15_000, 20_000, 30_000, 50_000, 70_000, 100_000, 150_000, 200_000, 300_000, 500_000, 700_000,
    1_000_000, 1_500_000, 2_000_000, 3_000_000, 5_000_000, 7_000_000,
    10_000_000, 15_000_000, 20_000_000, 30_000_000, 60_000_000,
  ]
  package private(set) var counts = [UInt64](repeating: 0, count: Histogram.bounds.count + 1)
  package private(set) var count: UInt64 = 0
  /// Microseconds.
  package private(set) var sum: Int64 = 0

  package init() {}

  /// Counts `microseconds`; a negative duration (clocks differ) counts as zero.
  package mutating func record(_ microseconds: Int64) {
    let value = max(0, microseconds)
    var bucket = 0
    while bucket < Histogram.bounds.count, value > Histogram.bounds[bucket] { bucket += 1 }
    counts[bucket] += 1
    count += 1
    sum = sum.addingReportingOverflow(value).overflow ? .max : sum + value
  }
}

/// Where the Engine stands at one moment, for readiness, status and metrics.
package struct EngineStatus: Sendable, Equatable {
  /// Why it is not ready, a sentence each; empty means ready.
  package var notReady: [Reason] = []
  package var sourceConnected = false
  package var streaming = false
  /// The slot is being made, and waits for a transaction.
  package var waitsForTransaction = false
  package var targets: [Target] = []
  /// The end of what was received, applied, settled and confirmed.
  package var received = LSN.zero
  package var applied = LSN.zero
  package var settled = LSN.zero
  package var confirmed = LSN.zero
  /// The server's own WAL end as last told in a message.
  package var serverEnd = LSN.zero
  package var queueBytes = 0
  /// Runs of transactions that no watermark covers yet; with the parked ones, all that grows with their number.
  package var ledgerEntries = 0
  /// Transactions that are committed but not visible yet.
  package var parkedTransactions = 0
  /// The xid of the oldest of them.
  package var oldestParked: UInt32?
  /// Monotonic nanoseconds at which it was received.
  package var parkedSince: Int64?
  /// What the server keeps for cdcd, as it told within the last seconds; nil while it is away.
  package var retention: ServerRetention?
  package var openFlushes: [Flush] = []
  /// Nothing is wrong, and what is settled cannot be proved for a moment: a watermark in Redis still tells of a flush that
  /// is done.
  package var isInDoubt = false
  /// DDL was told of here, and the catalogue has not been looked at since: what is settled beyond cannot be proved yet.
  package var unseenChange: LSN?
  /// What is settled and no such DDL puts in doubt.
  package var seen: LSN { min(settled, unseenChange ?? settled) }
  package var replicas: [Replica] = []
  /// What is not as it should be although cdcd is ready: a replica that cannot be reached.
  package var degraded: [Reason] = []
  /// Keys that wait for their second delete.
  package var pendingSecondDeletes = 0
  /// Monotonic nanoseconds of the last message of the server; nil before the first.
  package var lastMessage: Int64?

  package struct Reason: Sendable, Equatable {
    /// `source`, `publication`, `redis`, `watermark`, `gap`, `rules`, `barrier`, `replicas`, `second_deletes`.
    package var check: String
    package var message: String

    package init(check: String, message: String) {
      self.check = check
      self.message = message
    }
  }

  package struct Target: Sendable, Equatable {
    package var name: String
    package var connected = false
    package var unacknowledgedBytes = 0
    package var applied = LSN.zero
    package var lastError: String?

    package init(name: String) { self.name = name }
  }

  package struct Replica: Sendable, Equatable {
    package var name: String
    /// It answered the last question, and is a standby of the source.
    package var isReachable = false
    /// Nil before its first answer.
    package var replayed: LSN?
    /// Why it does not count, a sentence; nil while it does.
    package var problem: String?

    package init(name: String) { self.name = name }
  }

  package struct Flush: Sendable, Equatable {
    package var rule: String
    package var reason: GapReason
    /// `unpublished` while it waits for its table; `barrier`, `leases`, `values`; `replicas` or `delay` while it waits for its
    /// second round.
    package var phase: String
    package var scannedKeys: UInt64
    package var deletedKeys: UInt64
    /// The transaction that holds it up at its barrier.
    package var waitsFor: String?

    package init(
      rule: String, reason: GapReason, phase: String, scannedKeys: UInt64, deletedKeys: UInt64,
      waitsFor: String? = nil
    ) {
      self.rule = rule
      self.reason = reason
      self.phase = phase
      self.scannedKeys = scannedKeys
      self.deletedKeys = deletedKeys
      self.waitsFor = waitsFor
    }
  }

  package init() {}
}
