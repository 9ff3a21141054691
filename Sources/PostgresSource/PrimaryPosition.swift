package import Invalidation

/// Where the WAL of the primary ends, and whose WAL it is: how far a replica has to come to show what the primary shows.
package struct PrimaryPosition: Sendable, Equatable {
  package var system: String
  package var timeline: UInt32
  /// A replica that has replayed so far shows every transaction that was visible on the primary when it was asked.
  package var end: LSN

  /// Connects to the primary among the hosts that `connection` names, asks it and waits: for one-shot commands.
  package static func read(from connection: String) throws(SourceFailure) -> PrimaryPosition {
    var parameters = try ConnectionParameters(connection)
    parameters.setCommon()
    let primary = try Session.connected(toOneOf: parameters.hosts)
    let identity = SystemIdentity(
      try primary.rows(of: SystemIdentity.query, doing: "asking the primary who it is"))
    guard let identity, identity.timeline > 0 else { throw .standby }
    let answer = try primary.rows(of: question, doing: "asking for the end of the WAL")
    guard let end = answer.first?.first.flatMap({ $0 }).flatMap({ LSN($0) }) else {
      throw SourceFailure(.unavailable, "PostgreSQL: the primary answered something else than its position")
    }
    return PrimaryPosition(system: identity.system, timeline: identity.timeline, end: end)
  }

  /// The insert position, since an asynchronous commit is visible before it is flushed. Nothing behind the flushed
  /// position reaches a replica, and on a quiet server it may stay unflushed for long: the transaction id makes this
  /// a transaction with a commit record of its own, behind the position, which the walwriter flushes soon. It waits for
  /// no synchronous standby, since it has written nothing else.
  ///
  /// Source: `RecordTransactionCommit` in PostgreSQL's xact.c.
  private static let question = "SELECT pg_current_wal_insert_lsn(), pg_current_xact_id()"
}
