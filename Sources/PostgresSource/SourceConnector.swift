package import Invalidation

/// Performs `Effect.connectSource` and `Effect.reconnectQuery` step by step, without ever waiting:
///
///     change connection -> who is it -> (TIMELINE_HISTORY) -> query connection -> facts -> done
///     facts -> (drop the lost slot) -> create the slot -> facts again -> done
///
/// Of several hosts the next one is tried when the change connection to one fails. Renewing the query connection
/// begins at its step.
package final class SourceConnector {
  package enum Progress {
    case pending
    case connected(SourceFacts, ChangeConnection, QueryConnection)
    /// The slot that is being made waits for this transaction.
    case waits(BlockingTransaction)
    /// Both connections are closed with the connector; of a renewal only the query connection.
    case failed(SourceFailure)
  }

  private enum Step {
    case connectingChanges(Session)
    case identifying(Session)
    case readingHistory(Session, SystemIdentity)
    case widening(Session, SystemIdentity)
    case connectingQuery(Session)
    case readingFacts(Session)
    case droppingSlot(Session)
    case creatingSlot(Session)
  }

  private let configuration: PostgresSourceConfiguration
  private let renewing: Bool
  private var step: Step
  private var hosts: HostSequence?
  private var changes: ChangeConnection?
  private var slotCreated = false
  private var creations = 0
  private var notices: [Notice] = []
  /// While the slot is made: when the replication connection, which has nothing to do meanwhile, asks what for.
  package private(set) var watchDueAt: Int64?
  /// Everything is known, and only the answer of that question is awaited.
  private var found: SourceFacts?

  /// When the present step has to be done, on the monotonic clock in nanoseconds; nil while the slot is made,
  /// which waits for every running transaction.
  package private(set) var deadline: Int64?
  /// How long the present step may take, in nanoseconds.
  private var timeLimit = answerTime

  /// Begins to open both connections. Like all that have a `now`, in nanoseconds of the monotonic clock.
  package init(_ configuration: PostgresSourceConfiguration, now: Int64) throws(SourceFailure) {
    self.configuration = configuration
    renewing = false
    var hosts = HostSequence(try configuration.changeParameters())
    let (session, time) = try hosts.connectNext()
    self.hosts = hosts
    step = .connectingChanges(session)
    timeLimit = time
    deadline = now + time
  }

  /// Begins to renew the query connection beside `changes`.
  package init(
    _ configuration: PostgresSourceConfiguration, beside changes: ChangeConnection, now: Int64
  ) throws(SourceFailure) {
    self.configuration = configuration
    self.changes = changes
    renewing = true
    step = .connectingQuery(
      try Session(try configuration.queryParameters(beside: changes.session.connection)))
    deadline = now + answerTime
  }

  private var session: Session {
    switch step {
    case .connectingChanges(let session), .identifying(let session), .readingHistory(let session, _),
      .widening(let session, _),
      .connectingQuery(let session), .readingFacts(let session), .droppingSlot(let session),
      .creatingSlot(let session):
      session
    }
  }

  /// May be another one after each `advance`.
  package var fileDescriptor: Int32 { session.fileDescriptor }
  package var pollEvents: Int16 { session.pollEvents }

  /// Something to tell people, once each.
  package func takeNotice() -> Notice? { notices.isEmpty ? nil : notices.removeFirst() }

  /// The failure to report when `deadline` has passed.
  package var timeout: SourceFailure { session.connection.timeout(action, within: timeLimit) }

  /// To be called when `deadline` has passed, and there may be another host.
  package func expire(now: Int64) -> Progress { fail(timeout, now: now) }

  private func fail(_ failure: SourceFailure, now: Int64) -> Progress {
    guard case .connectingChanges = step, var hosts else { return .failed(failure) }
    do throws(SourceFailure) {
      let (session, time) = try hosts.connectNext(after: failure)
      self.hosts = hosts
      step = .connectingChanges(session)
      timeLimit = time
      deadline = now + time
      return .pending
    } catch {
      return .failed(error)
    }
  }

  /// To be called when the socket is ready.
  package func advance(now: Int64) -> Progress {
    do throws(SourceFailure) {
      switch session.advance() {
      case .pending: return .pending
      case .broken(let failure): throw failure
      case .connected: try begin(now: now)
      case .answered(.rows(let rows)): return try take(rows, now: now)
      case .answered(.error(let error)): try take(error, now: now)
      case .answered(.copyBoth): throw SourceFailure(.unavailable, "PostgreSQL: a stream nobody asked for")
      }
      return .pending
    } catch {
      return fail(error, now: now)
    }
  }

  /// The present step's connection is open.
  private func begin(now: Int64) throws(SourceFailure) {
    guard session.connection.serverVersion >= 140_000 else {
      throw SourceFailure(.misconfigured, "PostgreSQL: version 14 or newer is needed")
    }
    if case .connectingChanges(let session) = step {
      if configuration.mode != .notify { session.settleTransport() }
      let question = configuration.mode == .notify ? SystemIdentity.query : "IDENTIFY_SYSTEM"
      try go(to: .identifying(session), asking: question, now: now)
    } else {
      try askFacts(now: now)
    }
  }

  private func take(_ rows: [[String?]], now: Int64) throws(SourceFailure) -> Progress {
    switch step {
    case .identifying(let session):
      guard let identity = SystemIdentity(rows) else { throw unexpectedAnswer }
      // A first timeline has none, and a plain connection does not tell.
      guard identity.timeline > 1, configuration.mode != .notify else {
        return try widen(session, identity, now: now)
      }
      try go(
        to: .readingHistory(session, identity), asking: "TIMELINE_HISTORY \(identity.timeline)", now: now)
    case .readingHistory(let session, var identity):
      let text = rows.first.flatMap { $0.count == 2 ? $0[1] : nil }
      identity.history = text.flatMap { TimelineHistory($0) } ?? TimelineHistory()
      return try widen(session, identity, now: now)
    case .widening(let session, let identity):
      return try connectQuery(beside: session, identity, now: now)
    case .readingFacts:
      guard let row = rows.first, let facts = ServerFacts(row), let changes else {
        throw unexpectedAnswer
      }
      let identity = changes.identity
      if let obstacle = facts.obstacle(configuration, identity: identity) { throw obstacle }
      guard let confirmed = try confirmedPosition(facts, now: now) else { return .pending }
      let found = SourceFacts(
        systemIdentifier: identity.system, timeline: identity.timeline, crashMarker: facts.crashMarker,
        flushLSN: facts.flushLSN, insertLSN: facts.insertLSN, confirmedFlush: confirmed,
        slotCreated: slotCreated, asynchronousCommit: facts.asynchronousCommit,
        publication: facts.publication(of: configuration.tables),
        unpublished: facts.unpublished(of: configuration.tables),
        snapshot: facts.snapshot, partitioned: facts.partitioned(of: configuration.tables),
        partitions: facts.partitions(of: configuration.tables), partitionTree: facts.partitionTree,
        bareTables: facts.bareTables, missingColumns: facts.missingColumns,
        conditionTypes: facts.conditionTypes, history: identity.history,
        isSlotSynchronized: facts.slot?.isSynchronized == true, database: facts.database)
      self.found = found
      return finish()
    case .droppingSlot: try createSlot(now: now)
    case .creatingSlot:
      slotCreated = true
      watchDueAt = nil
      try askFacts(now: now)
    case .connectingChanges, .connectingQuery: throw unexpectedAnswer
    }
    return .pending
  }

  /// Has the server send one long text, which makes libpq's buffer as large for good: PQconsumeInput reads no more at once
  /// than it has room for, 16 KB of old, and each of its reads takes the socket's lock from the walsender.
  private func widen(_ session: Session, _ identity: SystemIdentity, now: Int64) throws(SourceFailure)
    -> Progress
  {
    guard configuration.mode != .notify else { return try connectQuery(beside: session, identity, now: now) }
    try go(to: .widening(session, identity), asking: "SELECT repeat(' ', 262144)", now: now)
    return .pending
  }

  private func connectQuery(
    beside session: Session, _ identity: SystemIdentity, now: Int64
  ) throws(SourceFailure) -> Progress {
    changes =
      configuration.mode == .notify
      ? .outbox(OutboxConnection(session, identity))
      : .replication(ReplicationConnection(session, identity))
    step = .connectingQuery(try Session(try configuration.queryParameters(beside: session.connection)))
    timeLimit = answerTime
    deadline = now + answerTime
    return .pending
  }

  /// Nil when the slot has to be made first.
  private func confirmedPosition(_ facts: ServerFacts, now: Int64) throws(SourceFailure) -> LSN? {
    if configuration.mode == .notify { return facts.removedTo }
    guard let slot = facts.slot, !slot.isLost else {
      try replaceSlot(lost: facts.slot, now: now)
      return nil
    }
    guard let confirmed = slot.confirmedFlush else {
      throw SourceFailure(
        .slotInUse, "PostgreSQL: the slot \"\(configuration.slot)\" is just being made by another session")
    }
    return confirmed
  }

  private func take(_ error: CatalogError, now: Int64) throws(SourceFailure) {
    // The file is gone, or a standby does not have it yet: where a timeline ended is not known then.
    if case .readingHistory(let session, let identity) = step {
      _ = try widen(session, identity, now: now)
      return
    }
    // Another instance made the slot in the meantime: then it is not ours to call new.
    if case .creatingSlot = step, error.sqlState == "42710" {
      watchDueAt = nil
      try askFacts(now: now)
      return
    }
    if case .creatingSlot = step, configuration.mode == .wal2json, error.isMissingPlugin {
      throw SourceFailure(
        .misconfigured,
        "PostgreSQL: \(error)" + error.missingPluginRemedy)
    }
    if configuration.mode == .notify { throw SourceFailure(outbox: error, doing: action) }
    throw SourceFailure(error, doing: action)
  }

  private func askFacts(now: Int64) throws(SourceFailure) {
    let process = changes?.session.connection.serverProcess ?? 0
    let query = ServerFacts.query(
      configuration, changeProcess: process, serverVersion: session.connection.serverVersion)
    try go(to: .readingFacts(session), asking: query, now: now)
  }

  private func replaceSlot(lost: ServerFacts.Slot?, now: Int64) throws(SourceFailure) {
    guard !renewing else {
      throw SourceFailure(.slotLost, "PostgreSQL: the slot \"\(configuration.slot)\" is gone")
    }
    creations += 1
    // Somebody drops it as fast as it is made: let the backoff have its way.
    guard creations < 3 else {
      throw SourceFailure(.slotLost, "PostgreSQL: the slot \"\(configuration.slot)\" was lost again at once")
    }
    guard let lost else { return try createSlot(now: now) }
    notices.append(
      Notice(
        .warning, "slot_lost", "the slot \"\(configuration.slot)\" is made anew: it \(lost.loss)"))
    let name = CatalogSession.quoted(literal: configuration.slot)
    try go(to: .droppingSlot(session), asking: "SELECT pg_drop_replication_slot(\(name))", now: now)
  }

  private func createSlot(now: Int64) throws(SourceFailure) {
    notices.append(
      Notice(
        .notice, "slot_creation",
        "creating the slot \"\(configuration.slot)\": this waits until every transaction running now has ended"
      ))
    try go(
      to: .creatingSlot(session),
      asking: SlotCreation.sql(
        configuration.slot, configuration.mode, serverVersion: Int(session.connection.serverVersion)),
      now: now)
    deadline = nil
    watchDueAt = now + 1_000_000_000
  }

  private func go(to next: Step, asking sql: String, now: Int64) throws(SourceFailure) {
    step = next
    timeLimit = answerTime
    deadline = now + answerTime
    try session.ask(sql, doing: action)
  }

  private func finish() -> Progress {
    guard let found, let changes, case .readingFacts(let session) = step, !isWatching else {
      return .pending
    }
    return .connected(found, changes, QueryConnection(session))
  }

  private var action: String {
    switch step {
    case .connectingChanges:
      configuration.mode == .notify ? "connecting for the outbox" : "connecting for replication"
    case .identifying: configuration.mode == .notify ? "asking which server it is" : "IDENTIFY_SYSTEM"
    case .readingHistory: "TIMELINE_HISTORY"
    case .widening: "asking for a long text"
    case .connectingQuery: "connecting for queries"
    case .readingFacts: "reading the catalogue"
    case .droppingSlot: "dropping the lost slot"
    case .creatingSlot: "creating the slot"
    }
  }

  private var unexpectedAnswer: SourceFailure {
    SourceFailure(.unavailable, "PostgreSQL: " + action + ": an answer that was not expected")
  }
}

/// One forgotten transaction can hold up a new slot for ever, so it is named.
extension SourceConnector {
  /// The question is under way on the replication connection.
  private var isWatching: Bool {
    guard !renewing, let changes else { return false }
    return !changes.session.isIdle
  }

  /// To be polled beside the connector's own descriptor; nil while there is nothing to wait for.
  package var watch: (fileDescriptor: Int32, pollEvents: Int16)? {
    guard isWatching, let session = changes?.session else { return nil }
    return (session.fileDescriptor, session.pollEvents)
  }

  /// To be called when `watchDueAt` has passed.
  package func askWatch(now: Int64) -> Progress {
    watchDueAt = now + 5_000_000_000
    guard let changes, !isWatching else { return .pending }
    do throws(SourceFailure) {
      try changes.session.ask(BlockerQuery.text, doing: "asking for the oldest transaction")
      return .pending
    } catch {
      return .failed(error)
    }
  }

  /// To be called when the watch's socket is ready.
  package func advanceWatch() -> Progress {
    guard let changes else { return .pending }
    switch changes.session.advance() {
    case .pending, .connected: return .pending
    case .broken(let failure): return .failed(failure)
    case .answered(.rows(let rows)):
      if let blocker = BlockerQuery.read(rows), found == nil { return .waits(blocker) }
      return finish()
    // What holds the slot up is worth knowing, and not worth failing for.
    case .answered(.error), .answered(.copyBoth): return finish()
    }
  }
}
