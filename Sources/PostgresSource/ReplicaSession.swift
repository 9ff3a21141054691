package import Invalidation

/// A blocking session with one read replica, for one-shot commands.
///
/// Not for the event loop, which never waits: see `ReplicaConnection`.
package final class ReplicaSession {
  private let session: Session

  /// Connects within 10 seconds.
  package init(connection: String) throws(SourceFailure) {
    session = try Session.connected(ReplicaAddress(connection: connection).queryParameters())
  }

  /// What the replica tells of itself now, within 10 seconds. After a failure the session is of no use.
  package func facts() throws(SourceFailure) -> ReplicaFacts {
    let rows = try session.rows(
      of: ReplicaConnection.question, doing: "asking a read replica for its position")
    guard let facts = ReplicaFacts(rows.first ?? []) else {
      throw SourceFailure(
        .unavailable, "PostgreSQL: a read replica answered something else than its position")
    }
    return facts
  }
}
