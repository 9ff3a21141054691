import Invalidation

extension Metric {
  /// Every metric, in the order of the exposition. A new one is one entry here; names of the same daemon never
  /// change their meaning, and a key is never a label.
  static let all: [Metric] = daemon + source + redis + work + secondDeletes + positions + continuity + process

  private static let daemon: [Metric] = [
    .gauges("cdcd_build_info", "The version of cdcd, as a label; always 1.") {
      [MetricSample(labels: [("version", $0.version)], value: .integer(1))]
    },
    .gauge("cdcd_ready", "Whether it streams, is connected, has its watermark and no open gap.") {
      .flag($0.isReady)
    },
  ]

  private static let source: [Metric] = [
    .gauge("cdcd_source_connected", "Whether PostgreSQL is connected.") { .flag($0.status.sourceConnected) },
    .gauge("cdcd_last_message_age_seconds", "Time since the last message of PostgreSQL.") { input in
      // A slot that is being made waits for transactions, for hours perhaps, and says nothing meanwhile.
      guard !input.status.waitsForTransaction else { return nil }
      return input.snapshot.lastMessageAge.map { .real($0 + input.age) }
    },
    .counters("cdcd_retries_total", "Failed attempts that were tried again, by side.") {
      bySide(source: $0.statistics.sourceRetries, redis: $0.statistics.redisRetries)
        + [MetricSample(labels: [("side", "replica")], value: .integer($0.statistics.replicaRetries))]
    },
    .counters("cdcd_reconnects_total", "Connections made again after a loss, by side.") {
      bySide(source: $0.statistics.sourceReconnects, redis: $0.statistics.redisReconnects)
    },
    .counter(
      "cdcd_malformed_messages_total",
      "Messages of the stream, or rows of the outbox, that could not be decoded, or named what is no key."
    ) {
      $0.statistics.malformedMessages
    },
  ]

  private static let redis: [Metric] = [
    .gauges("cdcd_redis_connected", "Whether a Redis target is connected.") { input in
      input.status.targets.map {
        MetricSample(labels: [("target", $0.name)], value: .flag($0.connected))
      }
    },
    .counters("cdcd_redis_errors_total", "Error replies and lost connections, by target and kind.") {
      redisErrors($0)
    },
  ]

  private static let work: [Metric] = [
    .counter(
      "cdcd_transactions_total",
      "Transactions received; with wal2json also those that changed no ruled table."
    ) { $0.statistics.transactions },
    .counters("cdcd_changes_total", "Row changes and truncates of ruled tables, by table and operation.") {
      changes($0.statistics)
    },
    .counters(
      "cdcd_keys_deleted_total", "Keys whose delete Redis acknowledged, by rule; second deletes count again."
    ) { input in
      zip(input.statistics.ruleNames, input.statistics.keysDeleted).map { rule, count in
        MetricSample(labels: [("rule", rule)], value: .integer(count))
      }
    },
    .counter("cdcd_keys_hit_total", "Deleted keys that were there.") { $0.statistics.keysHit },
    .histogram(
      "cdcd_commit_to_delete_seconds",
      "The server's commit time (with notify: that of the first statement) to the acknowledged delete."
    ) {
      MetricHistogram($0.statistics.commitToDelete)
    },
    .histogram(
      "cdcd_barrier_seconds", "Received to visible, for transactions that had to wait."
    ) {
      MetricHistogram($0.statistics.barrier)
    },
    .counter("cdcd_barrier_waits_total", "Transactions that were not visible yet when they were received.") {
      $0.statistics.barrierWaits
    },
    .gauge("cdcd_parked_transactions", "Committed transactions that are not visible yet.") {
      .integer(UInt64(clamping: $0.status.parkedTransactions))
    },
    .gauge(
      "cdcd_parked_age_seconds", "How long the oldest parked transaction has been waiting; 0 without one."
    ) {
      .real($0.parkedAge)
    },
    .gauge("cdcd_queue_bytes", "Memory held by changes on their way to Redis.") {
      .integer(UInt64(clamping: $0.status.queueBytes))
    },
  ]

  private static let secondDeletes: [Metric] = [
    .gauges("cdcd_replica_connected", "Whether a read replica answers and follows the source.") { input in
      input.status.replicas.map {
        MetricSample(labels: [("replica", $0.name)], value: .flag($0.isReachable))
      }
    },
    .gauges("cdcd_replica_replayed_lsn", "The position that a read replica has replayed, as a byte offset.") {
      input in
      input.status.replicas.compactMap { replica in
        replica.replayed.map {
          MetricSample(labels: [("replica", replica.name)], value: .integer($0.rawValue))
        }
      }
    },
    .counter("cdcd_second_deletes_total", "Keys deleted again, for replicas or redelete_after.") {
      $0.statistics.secondDeletes
    },
    .gauge("cdcd_second_deletes_pending", "Keys that wait for their second delete.") {
      .integer(UInt64(clamping: $0.status.pendingSecondDeletes))
    },
  ]

  private static let positions: [Metric] = [
    .gauge("cdcd_lag_bytes", "WAL that the server has written and that is not settled.") {
      $0.snapshot.lagBytes.map { .integer($0) }
    },
    .gauge(
      "cdcd_slot_retained_bytes", "WAL that the server keeps for the slot, as it tells every 10 seconds."
    ) {
      $0.status.retention?.wal.map { .integer($0.bytes) }
    },
    .gauge(
      "cdcd_slot_safe_wal_size_bytes",
      "WAL that may still be written before the slot is beyond max_slot_wal_keep_size; absent without a limit."
    ) {
      $0.status.retention?.wal?.safeBytes.map { .integer($0) }
    },
    .gauges("cdcd_slot_wal_status", "1 for the slot's wal_status in pg_replication_slots, 0 for the others.")
    {
      walStatus($0.status.retention?.wal)
    },
    .gauge("cdcd_outbox_rows", "Rows in the outbox, by the server's statistics.") {
      $0.status.retention?.outboxRows.map { .integer($0) }
    },
    .gauge("cdcd_received_lsn", "The end of the WAL that was received, as a byte offset.") {
      .integer($0.status.received.rawValue)
    },
    .gauge("cdcd_applied_lsn", "The position up to which the first deletes are acknowledged.") {
      .integer($0.status.applied.rawValue)
    },
    .gauge("cdcd_settled_lsn", "The position up to which every delete is acknowledged.") {
      .integer($0.status.settled.rawValue)
    },
    .gauge("cdcd_confirmed_lsn", "The position that was confirmed to the slot.") {
      .integer($0.status.confirmed.rawValue)
    },
  ]

  private static let continuity: [Metric] = [
    .counters("cdcd_gaps_total", "Moments at which continuity could not be proved, by reason.") {
      gaps($0.statistics)
    },
    .counter("cdcd_flushes_total", "Flushes of a rule's keys.") { $0.statistics.flushes },
    .counter("cdcd_flush_keys_total", "Keys that flushes deleted.") { $0.statistics.flushedKeys },
    .gauge("cdcd_open_flushes", "Flushes that are not done.") {
      .integer(UInt64($0.status.openFlushes.count))
    },
    .counter("cdcd_lineage_breaks_total", "Times that Redis came back without its last deletes.") {
      $0.statistics.lineageBreaks
    },
    .counter("cdcd_evicted_watermarks_total", "Times that Redis evicted the watermark.") {
      $0.statistics.evictedWatermarks
    },
    .counter("cdcd_replayed_transactions_total", "Transactions that were applied again.") {
      $0.statistics.replayedTransactions
    },
  ]

  private static func bySide(source: UInt64, redis: UInt64) -> [MetricSample] {
    [
      MetricSample(labels: [("side", "source")], value: .integer(source)),
      MetricSample(labels: [("side", "redis")], value: .integer(redis)),
    ]
  }

  /// Every reason from the start, so that rate() sees the first gap.
  private static func gaps(_ statistics: Statistics) -> [MetricSample] {
    GapReason.allCases.map { reason in
      let count = statistics.gaps.first { $0.reason == reason }?.count ?? 0
      return MetricSample(labels: [("reason", reason.rawValue)], value: .integer(count))
    }
  }

  /// Lost connections from the start; of the twenty other kinds those that were met, since what lasts is met again, and
  /// `cdcd_retries_total` counts them all.
  private static func redisErrors(_ input: MetricsInput) -> [MetricSample] {
    input.status.targets.indices.flatMap { target in
      let errors = input.statistics.redisErrors.filter { $0.target == target }
      let isMet = errors.contains { $0.kind == "connection" }
      let none = isMet ? [] : [Statistics.RedisErrorCount(target: target, kind: "connection", count: 0)]
      return (none + errors).map {
        MetricSample(
          labels: [("target", input.status.targets[target].name), ("kind", $0.kind)],
          value: .integer($0.count))
      }
    }
  }

  private static func walStatus(_ wal: RetainedWAL?) -> [MetricSample] {
    guard let status = wal?.status else { return [] }
    return RetainedWAL.Status.allCases.map {
      MetricSample(labels: [("status", $0.rawValue)], value: .flag($0 == status))
    }
  }

  private static func changes(_ statistics: Statistics) -> [MetricSample] {
    zip(statistics.tables, statistics.changes).flatMap { table, counts in
      zip(["insert", "update", "delete", "truncate"], counts).map { operation, count in
        MetricSample(labels: [("table", table.description), ("op", operation)], value: .integer(count))
      }
    }
  }
}
