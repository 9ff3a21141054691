import Invalidation

/// Which server is behind a connection.
struct SystemIdentity: Sendable, Equatable {
  var system: String
  var timeline: UInt32
  /// Of that timeline; empty when it is the first, or the server does not tell.
  var history = TimelineHistory()

  /// Of a plain connection what IDENTIFY_SYSTEM tells on a replication connection. The file's name begins with the timeline;
  /// a control file may name an older one for a while after a promotion.
  static let query = """
    SELECT (SELECT system_identifier FROM pg_control_system()), CASE WHEN pg_is_in_recovery() THEN 0
      ELSE ('x' || left(pg_walfile_name(pg_current_wal_insert_lsn()), 8))::bit(32)::bigint END
    """

  /// Nil when the rows are not the one that IDENTIFY_SYSTEM, or `query`, answers.
  init?(_ rows: [[String?]]) {
    guard let row = rows.first, row.count >= 2, let system = row[0],
      let timeline = row[1].flatMap({ UInt32($0) })
    else { return nil }
    self.system = system
    self.timeline = timeline
  }
}
