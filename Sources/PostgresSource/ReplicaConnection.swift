package import Invalidation

/// The plain connection to one read replica: it asks how far the replica has replayed.
package final class ReplicaConnection {
  package enum Progress {
    case pending
    case answered(ReplicaFacts)
    /// Not to be used any more. One sentence for people.
    case failed(String)
  }

  private enum State {
    /// The question follows at once.
    case connecting
    case idle
    case asking
  }

  private let session: Session
  private var state = State.connecting
  /// When the answer has to be there, on the monotonic clock in nanoseconds.
  package private(set) var deadline: Int64?

  /// Connects and asks. The answer has ten seconds.
  package init(_ address: ReplicaAddress, now: Int64) throws(SourceFailure) {
    session = try Session(address.queryParameters())
    deadline = now + answerTime
  }

  package var fileDescriptor: Int32 { session.fileDescriptor }
  package var pollEvents: Int16 { session.pollEvents }

  /// Asks again; one question at a time. The answer has ten seconds.
  package func ask(now: Int64) throws(SourceFailure) {
    deadline = now + answerTime
    try sendQuestion()
  }

  private func sendQuestion() throws(SourceFailure) {
    try session.ask(ReplicaConnection.question, doing: "asking a read replica for its position")
    state = .asking
  }

  /// To be called when the socket is ready.
  package func advance() -> Progress {
    switch session.advance() {
    case .pending: return .pending
    case .connected:
      do throws(SourceFailure) {
        try sendQuestion()
        return .pending
      } catch {
        return .failed(error.message)
      }
    case .broken(let failure): return .failed(failure.message)
    case .answered(.error(let error)):
      return .failed(SourceFailure(error, doing: "asking a read replica for its position").message)
    case .answered(.copyBoth): return .failed("PostgreSQL: a stream nobody asked for")
    case .answered(.rows(let rows)):
      state = .idle
      deadline = nil
      guard let row = rows.first, let facts = ReplicaFacts(row) else {
        return .failed("PostgreSQL: a read replica answered something else than its position")
      }
      return .answered(facts)
    }
  }

  /// The failure to report when `deadline` has passed.
  package var timeout: String { "PostgreSQL: the read replica gave no answer within 10 seconds" }

  /// The timeline is the largest that anything on the server tells of: the walreceiver's is hidden from roles without
  /// `pg_read_all_stats`, the control file's moves only with a restart point.
  static let question = """
    SELECT pg_is_in_recovery(), (SELECT system_identifier FROM pg_control_system()),
      greatest(
        (SELECT received_tli FROM pg_stat_wal_receiver),
        (SELECT min_recovery_end_timeline FROM pg_control_recovery()),
        (SELECT timeline_id FROM pg_control_checkpoint())),
      (extract(epoch FROM pg_postmaster_start_time()) * 1000000)::bigint || '/' ||
        coalesce((extract(epoch FROM (SELECT stats_reset FROM pg_stat_wal)) * 1000000)::bigint, 0),
      pg_last_wal_replay_lsn()
    """
}

extension ReplicaFacts {
  /// Nil when the row is not the one that was asked for. A server that is no standby has no replayed position.
  init?(_ row: [String?]) {
    guard row.count == 5, let isStandby = row[0], let system = row[1],
      let timeline = row[2].flatMap({ UInt32($0) }),
      let incarnation = row[3]
    else { return nil }
    let replayed = row[4].map { LSN($0) } ?? .zero
    guard let replayed else { return nil }
    self.init(
      isStandby: isStandby == "t", systemIdentifier: system, timeline: timeline, incarnation: incarnation,
      replayed: replayed)
  }
}
