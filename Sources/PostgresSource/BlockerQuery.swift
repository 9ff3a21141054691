import Invalidation

/// Which transaction is the oldest that runs: the one whose end a flush's barrier, or a new slot, waits for.
enum BlockerQuery {
  /// Every transaction with an xid holds a lock on it, which every role may see; what the process is doing only
  /// members of `pg_read_all_stats` may.
  ///
  /// Source: PostgreSQL manual, chapters 54.12 "pg_locks" and 54.16 "pg_prepared_xacts".
  static let text = """
    SELECT l.transactionid, l.pid, a.state, a.application_name, p.gid,
      extract(epoch FROM clock_timestamp() - coalesce(a.xact_start, p.prepared))::bigint
    FROM pg_locks AS l
    LEFT JOIN pg_prepared_xacts AS p ON p.transaction = l.transactionid
    LEFT JOIN pg_stat_activity AS a ON a.pid = l.pid
    WHERE l.locktype = 'transactionid' AND l.mode = 'ExclusiveLock' AND l.granted
      AND l.pid IS DISTINCT FROM pg_backend_pid()
    ORDER BY age(l.transactionid) DESC LIMIT 1
    """

  /// Nil when no transaction runs.
  static func read(_ rows: [[String?]]) -> BlockingTransaction? {
    guard let row = rows.first, row.count == 6, let xid = row[0].flatMap({ UInt32($0) }) else { return nil }
    let seconds = row[5].flatMap { Int64($0) }
    if let gid = row[4] {
      return BlockingTransaction(xid: xid, holder: .prepared(gid: gid), seconds: seconds)
    }
    guard let pid = row[1].flatMap({ Int32($0) }) else { return nil }
    return BlockingTransaction(
      xid: xid, holder: .process(pid: pid, state: row[2], application: row[3]), seconds: seconds)
  }
}
