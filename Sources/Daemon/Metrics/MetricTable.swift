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
      input.snapshot.lastMessageAge.map { .real($0 + input.age) }
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
      input in
      input.statistics.redisErrors.map {
        MetricSample(
          labels: [("target", input.targetName($0.target)), ("kind", $0.kind)], value: .integer($0.count))
      }
    },
  ]

  private static let work: [Metric] = [
    .counter("cdcd_transactions_total", "Transactions received.") { $0.statistics.transactions },
    .counters("cdcd_changes_total", "Row changes and truncates of ruled tables, by table and operation.") {
      changes($0.statistics)
    },
    .counters("cdcd_keys_deleted_total", "Keys whose delete Redis acknowledged, by rule.") { input in
      zip(input.statistics.ruleNames, input.statistics.keysDeleted).map { rule, count in
        MetricSample(labels: [("rule", rule)], value: .integer(count))
      }
    },
    .counter("cdcd_keys_hit_total", "Deleted keys that were there.") { $0.statistics.keysHit },
    .histogram("cdcd_commit_to_delete_seconds", "The server's commit time to the acknowledged delete.") {
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
    .counters("cdcd_gaps_total", "Moments at which continuity could not be proved, by reason.") { input in
      input.statistics.gaps.map {
        MetricSample(labels: [("reason", $0.reason.rawValue)], value: .integer($0.count))
      }
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

  private static func changes(_ statistics: Statistics) -> [MetricSample] {
    zip(statistics.tables, statistics.changes).flatMap { table, counts in
      zip(["insert", "update", "delete", "truncate"], counts).map { operation, count in
        MetricSample(labels: [("table", table.description), ("op", operation)], value: .integer(count))
      }
    }
  }
}
