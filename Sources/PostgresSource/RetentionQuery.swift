import Invalidation

/// What the server keeps for cdcd. Every role may read it, and neither statement waits for a lock of a table.
enum RetentionQuery {
  /// `slot` is nil with an outbox.
  ///
  /// The outbox is not counted row by row: the statistics are at hand, however many rows there are.
  ///
  /// Source: PostgreSQL manual, chapters 54.19 "pg_replication_slots" and 28.2 "The Cumulative Statistics System".
  static func text(slot: String?) -> String {
    guard let slot else {
      return "SELECT pg_stat_get_live_tuples(oid) FROM pg_class WHERE oid = to_regclass('cdcd.outbox')"
    }
    return """
      SELECT pg_wal_lsn_diff(pg_current_wal_lsn(), restart_lsn)::bigint, safe_wal_size, wal_status
      FROM pg_replication_slots WHERE slot_name = \(CatalogSession.quoted(literal: slot))
      """
  }

  /// Nil when there is no such slot or outbox, or the slot keeps nothing yet.
  static func read(_ rows: [[String?]]) -> ServerRetention? {
    guard let row = rows.first, let amount = row.first.flatMap({ $0 }).flatMap({ Int64($0) }) else {
      return nil
    }
    guard row.count == 3 else { return .outbox(rows: UInt64(clamping: amount)) }
    return .slot(
      RetainedWAL(
        bytes: UInt64(clamping: amount),
        // Below zero, it is beyond the limit by so much.
        safeBytes: row[1].flatMap { Int64($0) }.map { UInt64(clamping: $0) },
        status: row[2].flatMap { RetainedWAL.Status(rawValue: $0) }))
  }
}
