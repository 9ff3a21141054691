import DequeModule

/// The way of a change, from replicated bytes to acknowledged delete, as a state machine without socket,
/// clock, randomness or logger: events and messages go in with the time, effects come out.
///
/// The shell calls `receive` for each replication message and `handle` for everything else, and after either
/// takes `nextEffect` until it is nil. It sleeps no longer than `deadline` and stops reading the replication
/// stream while `wantsInput` is false.
///
/// Its parts, each in an extension of its own: the source's connections (`Engine+Source`), the stream of changes
/// (`Engine+Stream`) or of an outbox (`Engine+Outbox`), messages that name keys (`Engine+Messages`), the visibility barrier (`Engine+Barrier`), the Redis targets (`Engine+Redis`), read replicas and
/// second deletes (`Engine+Replicas`), the judgement of continuity (`Engine+Continuity`), DDL (`Engine+TableChange`), partitions
/// (`Engine+Partitions`), tables by name (`Engine+NamedTables`), replica identities (`Engine+BareTables`), flushes
/// (`Engine+Flush`), other rules (`Engine+RuleReplacement`) and time (`Engine+Timers`).
package struct Engine: Sendable {
  private(set) var configuration: EngineConfiguration
  private(set) var rulesByTable: RulesByTable
  /// Of the rules, and of the publication as it was looked at last.
  var fingerprint: RuleSetFingerprint
  let encoder: BatchEncoder
  package internal(set) var statistics = Statistics()
  package internal(set) var history: InvalidationHistory
  var effects = Deque<Effect>()
  var random: SplitMix64
  /// When the current call happened.
  var now: Moment

  var source: SourceState
  var stream = StreamState()
  var barrier = Barrier()
  var queries = QueryState()
  var targets: [RedisTarget]
  var replicas: [ReplicaState]
  var secondDeletes: SecondDeletes
  var confirmed: ConfirmedPosition
  var flushes = FlushState()
  /// Rules that take the place of the present ones when the transaction that is being read has ended.
  var replacement: RuleSet?
  /// `SourceFacts.publication` at the last look at the catalogue.
  var publication: [TableName: String] = [:]
  /// The ruled tables of then.
  var lookedAt: Set<TableName> = []
  /// The ruled tables that were partitioned at the last look at the catalogue.
  var partitioned: Set<TableName> = []
  /// The ruled tables that were themselves partitions of one then.
  var partitions: Set<TableName> = []
  /// `SourceFacts.partitionTree` then.
  var partitionTree: String?
  /// By rule, as the looks at the catalogue found them.
  var bareTables: [Int: BareTable] = [:]
  /// `SourceFacts.missingColumns`, likewise.
  var missingColumns: [Int: String] = [:]
  var conditions = ConditionState()
  /// What the watermarks say about history; nil until the first judgement, and after a break.
  var continuity: Continuity?
  /// The names of cdcd's own keys, since the server was known.
  var watermarkKeys: WatermarkKeys?
  /// The part of the watermark's text that does not change from batch to batch.
  var watermarkHead: [UInt8] = []
  /// The largest position that somebody waits for, until when, and when the server is asked for it next.
  var awaited = LSN.zero
  var awaitedUntil: Int64 = 0
  var awaitedProbeAt: Int64 = 0
  /// `acceptGap` stands for every gap found before this position: the WAL's end at the first start.
  var acceptsGapsBefore: LSN?

  /// `seed` feeds the jitter of the backoff.
  package init(configuration: EngineConfiguration, seed: UInt64, now: Moment) {
    self.configuration = configuration
    self.rulesByTable = RulesByTable(configuration.rules)
    self.fingerprint = RuleSetFingerprint(configuration.rules, publication: [:])
    self.encoder = BatchEncoder(command: configuration.command, leases: configuration.leases)
    self.random = SplitMix64(seed: seed)
    self.history = InvalidationHistory(rules: configuration.rules, seed: ~seed, since: now.wall)
    self.now = now
    self.source = SourceState(retryAt: now.monotonic)
    self.targets = configuration.targets.map { _ in RedisTarget(now: now.monotonic) }
    self.replicas = configuration.replicas.map { _ in ReplicaState() }
    self.secondDeletes = SecondDeletes(
      rules: configuration.rules, hasReplicas: !configuration.replicas.isEmpty)
    self.confirmed = ConfirmedPosition(
      // What was removed from an outbox is gone for good: nothing would be replayed.
      retain: configuration.mode == .notify ? .zero : configuration.retain)
    self.acceptsGapsBefore = configuration.acceptGap ? LSN(.max) : nil
    statistics.count(configuration.rules)
    runTimers()
  }

  package mutating func handle(_ event: Event, now: Moment) {
    self.now = now
    guard source.phase != .ended else { return }
    switch event {
    case .sourceConnected(let facts): sourceConnected(facts)
    case .sourceFailed(let failure): sourceFailed(failure)
    case .replicationStarted(let position): replicationStarted(slotAt: position)
    case .snapshot(let snapshot): snapshotArrived(snapshot)
    case .currentTransaction(let xid): currentTransactionArrived(xid)
    case .walEnd(let end): walEndArrived(end)
    case .blocker(let blocker): blockerArrived(blocker)
    case .retention(let retention): retentionArrived(retention)
    case .lineage(let lineage, let snapshot): lineageArrived(lineage, snapshot)
    case .slotWaits(let blocker): slotWaits(blocker)
    case .outboxRead(let page): outboxRead(page)
    case .outboxRemoved: outboxRemoved()
    case .walMoved: walMoved()
    case .outboxTouched: outboxTouched()
    case .outboxNotified: outboxNotified()
    case .queryReconnected(let facts): queryReconnected(facts)
    case .queryFailed(let failure): queryFailed(failure)
    case .replicaAnswered(let replica, let facts): replicaAnswered(replica, facts)
    case .replicaFailed(let replica, let reason): replicaFailed(replica, reason)
    case .redisConnected(let target): redisConnected(target)
    case .redisReply(let target, let reply): redisReplied(target, reply)
    case .redisFailed(let target, let reason, let isRefusal):
      fail(target, kind: isRefusal ? "refused" : "connection", reason, alreadyClosed: true)
    case .inputDrained: for target in targets.indices { closeSmallBatch(target) }
    case .deadlineReached: runTimers()
    case .awaited(let position): expectPosition(position)
    case .replaceRules(let rules): replaceRules(rules)
    case .stop: stop()
    }
  }

  /// The next thing to do, in order; nil when there is nothing until the next event or deadline.
  package mutating func nextEffect() -> Effect? { effects.popFirst() }

  /// Whether the shell is to go on reading the replication stream.
  package var wantsInput: Bool {
    source.phase == .streaming && !barrier.isFull && stream.unplaced == nil && hasRoomInBatches
  }

  /// Whether the stream tells of what was committed a while ago; by two clocks, where the server is another machine. So it
  /// is before the first commit with a finite time.
  package func isBehind(at now: Moment) -> Bool {
    PostgresTimestamp.age(of: stream.newestCommit, at: now.wall).map { $0 > 100_000 } ?? true
  }

  /// Whether what is on the way to Redis leaves room for more.
  var hasRoomInBatches: Bool {
    targets.allSatisfy { $0.unacknowledgedBytes < RedisTarget.unacknowledgedLimit }
  }

  mutating func setRules(_ rules: RuleSet) {
    configuration.rules = rules.rules
    rulesByTable = RulesByTable(rules.rules)
    configuration.onGap = rules.onGap
  }

  mutating func emit(_ effect: Effect) { effects.append(effect) }

  mutating func report(
    _ severity: Notice.Severity, _ cause: String, _ message: String, lsn: LSN? = nil, xid: UInt32? = nil,
    rule: String? = nil
  ) {
    emit(.report(Notice(severity, cause, message, lsn: lsn, xid: xid, rule: rule)))
  }

  /// The position up to which every target has acknowledged everything, second deletes included.
  var settled: LSN { targets.map(\.settled).min() ?? .zero }
}
