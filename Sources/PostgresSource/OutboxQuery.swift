import Invalidation

/// The statements of `OutboxConnection`, and what their answers mean.
enum OutboxQuery {
  /// A page ends with either. One is in memory several times at once, as libpq's rows, as texts and as changes: with pages of
  /// 4 MiB the process took 62 MiB at most and was no faster than with these, and 47.
  static let rowLimit = 1_000
  static let byteLimit = 256 << 10

  /// The lock is named as PostgreSQL names its own: by the catalogue and the object. A cdcd that is frozen loses it with
  /// its session. The position is read by a statement of its own, when nobody else can move it any more.
  ///
  /// Rows are found by the index alone: such a scan marks the entries of removed rows as dead, and those behind it pass
  /// them over, where a bitmap would visit every one until the next vacuum. (nbtree's README, "On-the-Fly Deletion Of
  /// Index Tuples".) A read is planned once, since that takes longer than to execute it; what is switched off makes other
  /// plans look expensive enough to be compiled.
  static let start = """
    SET idle_session_timeout = '10s';
    SET enable_seqscan = off;
    SET enable_bitmapscan = off;
    SET jit = off;
    SET plan_cache_mode = force_generic_plan;
    LISTEN cdcd;
    \(preparation);
    SELECT pg_try_advisory_lock('pg_class'::regclass::oid::integer, 'cdcd.outbox'::regclass::oid::integer);
    SELECT removed_to FROM cdcd.progress
    """

  /// Only what is committed ends the WAL, and that durably: whoever waits does so for an end beyond the present one.
  static let moveWAL = """
    BEGIN;
    SET LOCAL synchronous_commit = local;
    SELECT pg_logical_emit_message(true, 'cdcd.position', '');
    COMMIT
    """

  /// The parameters are those of `OutboxRead`: after, within, taken. The first row tells of the snapshot that all others
  /// are read with.
  ///
  /// A row's transaction is younger than every transaction of this server when it was restored from a dump of another one.
  private static let preparation = """
    PREPARE cdcd_read (bigint, pg_snapshot, pg_snapshot) AS
    SELECT pg_current_snapshot()::text, pg_current_wal_insert_lsn()::text, NULL, NULL, NULL, NULL, NULL
    UNION ALL
    (SELECT id::text, (xid::text::numeric % 4294967296)::text, \(microseconds(of: "at")), rel, ascii(op::text)::text,
        rows::text, total::text
      FROM (
        SELECT *, sum(size) OVER (ORDER BY id) AS total
        FROM (
          SELECT * FROM cdcd.outbox
          WHERE id > $1 AND ($2 IS NULL OR \(isSeen(by: "$2"))) AND ($3 IS NULL OR NOT pg_visible_in_snapshot(xid, $3))
          ORDER BY id LIMIT \(rowLimit)
        ) AS page) AS sized
      WHERE total - size < \(byteLimit) ORDER BY sized.id)
    """

  /// The first row is the WAL's end, which is taken before the snapshot: each statement takes one of its own.
  static func read(_ read: OutboxRead) -> String {
    """
    SELECT pg_current_wal_flush_lsn();
    EXECUTE cdcd_read (\(read.after), \(literal(read.within)), \(literal(read.taken)))
    """
  }

  private static func literal(_ snapshot: TransactionSnapshot?) -> String {
    snapshot.map { "'\($0)'" } ?? "NULL"
  }

  private static func microseconds(of column: String) -> String {
    "((extract(epoch FROM \(column)) - 946684800) * 1000000)::bigint::text"
  }

  private static func isSeen(by snapshot: String) -> String {
    "(pg_visible_in_snapshot(xid, \(snapshot)) OR xid >= pg_snapshot_xmax(pg_current_snapshot()))"
  }

  /// Does not wait for the disk, and no read behind it does: what a crash takes back is the removal as a whole, and the
  /// rows are read once more.
  static func remove(_ removal: OutboxRemoval) -> String {
    """
    BEGIN;
    SET LOCAL synchronous_commit = off;
    WITH removed AS (DELETE FROM cdcd.outbox WHERE id <= \(removal.upTo) AND \(isSeen(by: literal(removal.seenBy))))
    UPDATE cdcd.progress SET removed_to = '\(removal.position)' WHERE one;
    COMMIT
    """
  }

  /// Nil when the rows are not those that were asked for.
  static func page(_ rows: [[String?]]) -> OutboxPage? {
    guard rows.count >= 2, let flushed = text(rows[0], 0).flatMap({ LSN($0) }),
      let snapshot = text(rows[1], 0).flatMap({ TransactionSnapshot($0) }),
      let written = text(rows[1], 1).flatMap({ LSN($0) })
    else { return nil }
    var found: [OutboxRow] = []
    for row in rows.dropFirst(2) {
      guard let row = self.row(row) else { return nil }
      found.append(row)
    }
    let size = rows.count > 2 ? text(rows[rows.count - 1], 6).flatMap { Int($0) } ?? .max : 0
    return OutboxPage(
      flushedBefore: flushed, snapshot: snapshot, writtenAfter: written, rows: found,
      isLast: found.count < rowLimit && size < byteLimit)
  }

  private static func row(_ row: [String?]) -> OutboxRow? {
    guard row.count == 7, let id = text(row, 0).flatMap({ Int64($0) }),
      let xid = text(row, 1).flatMap({ UInt32($0) }), let time = text(row, 2).flatMap({ Int64($0) }),
      let relation = row[3], let operation = text(row, 4).flatMap({ UInt8($0) })
    else { return nil }
    return OutboxRow(
      id: id, xid: xid, writtenAt: time, relation: relation, operation: operation,
      content: Array((row[5] ?? "").utf8))
  }

  private static func text(_ row: [String?], _ column: Int) -> String? {
    column < row.count ? row[column] : nil
  }
}
