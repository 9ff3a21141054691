import Glibc
package import Invalidation

/// The connection of `cdcd tail`: it streams from a slot of its own, which the server drops with it, however it ends.
///
/// It waits for answers, in one place, and stops waiting as soon as `stop` can be read.
package final class TailConnection {
  /// `stop` became readable.
  package struct Stopped: Error {
    package init() {}
  }

  private let session: Session
  private let configuration: PostgresSourceConfiguration
  /// A descriptor that can be read once there is nothing to wait for any more.
  private let stop: Int32
  private var identity: SystemIdentity?

  /// Connects to the server that `catalog` has reached.
  package init(
    _ configuration: PostgresSourceConfiguration, beside catalog: CatalogSession, stop: Int32
  ) throws {
    var configuration = configuration
    configuration.slot = Self.slotName()
    var parameters = try configuration.replicationParameters()
    parameters.set("fallback_application_name", "cdcd tail")
    for (keyword, value) in catalog.connection.reached { parameters.set(keyword, value) }
    // As for the daemon's slot: its making waits for running transactions, and must not outlive who asked for it.
    parameters.addSettings([
      ("client_connection_check_interval", "2s"), ("statement_timeout", "0"), ("lock_timeout", "0"),
    ])
    self.configuration = configuration
    self.stop = stop
    session = try Session(parameters)
    guard case .connected = try answer("connecting for replication", within: answerTime) else {
      throw unexpectedAnswer
    }
    try session.ask("IDENTIFY_SYSTEM", doing: "IDENTIFY_SYSTEM")
    switch try answer("IDENTIFY_SYSTEM", within: answerTime) {
    case .answered(.rows(let rows)): identity = SystemIdentity(rows)
    case .answered(.error(let error)): throw SourceFailure(error, doing: "IDENTIFY_SYSTEM")
    default: throw unexpectedAnswer
    }
  }

  /// 64 random bits tell it from the slots of others.
  private static func slotName() -> String {
    "cdcd_tail_" + String(UInt64.random(in: .min ... .max), radix: 16)
  }

  fileprivate var serverProcess: Int32 { session.connection.serverProcess }

  /// Makes the slot. That waits until every transaction running now has ended, for as long as it takes; `whileWaiting` is
  /// called about once a second meanwhile.
  package func makeSlot(whileWaiting: () throws -> Void) throws {
    let name = CatalogSession.quoted(literal: configuration.slot)
    let action = "creating a temporary slot"
    try session.ask(
      "SELECT pg_create_logical_replication_slot(\(name), '\(configuration.mode.rawValue)', true)",
      doing: action)
    switch try answer(action, within: nil, whileWaiting: whileWaiting) {
    case .answered(.rows): break
    case .answered(.error(let error)):
      throw configuration.mode == .wal2json && error.isMissingPlugin
        ? SourceFailure(.misconfigured, "PostgreSQL: \(action): \(error)" + error.missingPluginRemedy)
        : SourceFailure(error, doing: action)
    default: throw unexpectedAnswer
    }
  }

  /// Begins the stream where the slot was made. Not to be used any more afterwards.
  package func start() throws -> ReplicationConnection {
    guard let identity else { throw unexpectedAnswer }
    let stream = ReplicationConnection(session, identity)
    try stream.start(configuration, at: .zero)
    switch try answer("START_REPLICATION", within: answerTime) {
    case .answered(.copyBoth): return stream
    case .answered(.error(let error)): throw SourceFailure(error, streaming: true, doing: "START_REPLICATION")
    default: throw unexpectedAnswer
    }
  }

  private func answer(
    _ action: String, within limit: Int64?, whileWaiting: () throws -> Void = {}
  ) throws -> Session.Progress {
    let end = limit.map { ContinuousClock.now + .nanoseconds($0) }
    while end.map({ ContinuousClock.now < $0 }) ?? true {
      var descriptors = [
        pollfd(fd: session.fileDescriptor, events: session.pollEvents, revents: 0),
        pollfd(fd: stop, events: Int16(POLLIN), revents: 0),
      ]
      let ready = unsafe poll(&descriptors, nfds_t(descriptors.count), 1_000)
      if descriptors[1].revents != 0 { throw Stopped() }
      guard ready > 0 else {
        try whileWaiting()
        continue
      }
      switch session.advance() {
      case .pending: continue
      case .broken(let failure): throw failure
      case let progress: return progress
      }
    }
    throw session.connection.timeout(action)
  }

  private var unexpectedAnswer: SourceFailure {
    SourceFailure(.unavailable, "PostgreSQL: cdcd tail: an answer that was not expected")
  }
}

/// What `cdcd tail` asks of the catalogue about its own connection.
extension CatalogSession {
  /// What keeps it from streaming; nil when there is nothing.
  package func problem(of connection: TailConnection) throws(CatalogError) -> SourceProblem? {
    let answer = try rows(
      """
      SELECT \(SynchronousStandbys.sql(taking: "own.application_name"))
      FROM pg_catalog.pg_stat_get_activity($1::int) AS own
      """, [String(connection.serverProcess)])
    guard let row = answer.first else { return .differentServers }
    return row == ["t"] ? .ownStandby : nil
  }

  /// The oldest running transaction, which a slot that is being made waits for.
  package func oldestTransaction() throws(CatalogError) -> BlockingTransaction? {
    BlockerQuery.read(try rows(BlockerQuery.text))
  }
}
