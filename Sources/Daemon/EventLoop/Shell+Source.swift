import Invalidation
import PostgresSource
import RedisSink

/// The PostgreSQL side of the shell.
extension Shell {
  func connectSource() {
    closeSource()
    do throws(SourceFailure) {
      source = .connecting(try SourceConnector(sourceConfiguration, now: Clock.monotonic()))
    } catch {
      tell(.sourceFailed(error))
    }
  }

  func closeSource() {
    source = .closed
    query = .closed
    gulp.release()
  }

  func startReplication(at position: LSN) {
    guard case .connected(let connection) = source else { return }
    guard case .replication(let replication) = connection else {
      if case .outbox(let outbox) = connection { startOutbox(outbox) }
      return
    }
    do throws(SourceFailure) {
      try replication.start(sourceConfiguration, at: position)
      source = .starting(replication, deadline: Clock.monotonic() + Shell.startTime)
    } catch {
      loseSource(error)
    }
  }

  func send(_ feedback: Feedback) {
    guard case .streaming(let replication) = source else { return }
    do throws(SourceFailure) {
      try replication.send(feedback, wall: Clock.now().wall)
    } catch {
      loseSource(error)
    }
  }

  func ask(_ question: QueryConnection.Question) {
    // The connection may have failed after the Engine asked for this; it has been told.
    guard case .open(let query) = query else { return }
    do throws(SourceFailure) {
      try query.ask(question, now: Clock.monotonic())
    } catch {
      loseQuery(error)
    }
  }

  func renewQuery() {
    query = .closed
    let changes: ChangeConnection
    switch source {
    case .connected(let connection): changes = connection
    case .starting(let connection, _), .verifying(let connection), .streaming(let connection):
      changes = .replication(connection)
    case .startingOutbox(let connection, _), .outbox(let connection): changes = .outbox(connection)
    case .closed, .connecting: return
    }
    do throws(SourceFailure) {
      query = .renewing(
        try SourceConnector(sourceConfiguration, beside: changes, now: Clock.monotonic()))
    } catch {
      loseQuery(error)
    }
  }

  /// `readable` and `ready` are what poll(2) said of the replication side's socket.
  func advanceSource(readable: Bool, ready: Bool) {
    switch source {
    case .closed, .verifying: return
    case .connecting(let connector): if ready { advance(connector) }
    case .connected(.replication(let replication)), .starting(let replication, _):
      if ready { advanceStart(replication) }
    case .connected(.outbox(let outbox)), .startingOutbox(let outbox, _), .outbox(let outbox):
      if ready { advanceOutbox(outbox) }
    case .streaming(let replication):
      if ready, replication.wantsWrite, !flush(replication) { return }
      if readable || replication.mayHoldInput { read(replication) }
    }
  }

  private func advance(_ connector: SourceConnector) {
    take(connector.advance(now: Clock.monotonic()), connector)
  }

  /// The connector asks what the slot that it makes waits for.
  func advanceWatch() {
    guard case .connecting(let connector) = source, connector.watch != nil else { return }
    take(connector.advanceWatch(), connector)
  }

  func askWatch(now: Int64) {
    guard case .connecting(let connector) = source, let due = connector.watchDueAt, due <= now else { return }
    take(connector.askWatch(now: now), connector)
  }

  private func take(_ progress: SourceConnector.Progress, _ connector: SourceConnector) {
    report(connector)
    switch progress {
    case .pending: return
    case .waits(let blocker): handle(.slotWaits(blocker))
    case .connected(let facts, let changes, let query):
      source = .connected(changes)
      self.query = .open(query)
      handle(.sourceConnected(facts))
    case .failed(let failure): failSource(failure)
    }
  }

  private func advanceStart(_ replication: ReplicationConnection) {
    switch replication.advanceStart() {
    case .pending: return
    case .started:
      source = .verifying(replication)
      verifySlot()
    case .failed(let failure): failSource(failure)
    }
  }

  /// The slot is ours now and nobody else can move it, but somebody may have since its position was read: a start
  /// before its position skips the changes between in silence.
  private func verifySlot() {
    guard case .open(let query) = query else {
      return failSource(SourceFailure(.unavailable, "PostgreSQL: the query connection was lost at the start"))
    }
    do throws(SourceFailure) {
      try query.ask(.confirmedFlush(slot: sourceConfiguration.slot), now: Clock.monotonic())
    } catch {
      failSource(error)
    }
  }

  private func slotVerified(_ position: LSN) {
    guard case .verifying(let replication) = source else { return }
    source = .streaming(replication)
    gulp = Gulp(over: replication.transport)
    handle(.replicationStarted(confirmedFlush: position))
  }

  private func flush(_ replication: ReplicationConnection) -> Bool {
    do throws(SourceFailure) {
      try replication.flush()
      return true
    } catch {
      failSource(error)
      return false
    }
  }

  /// The most that is read before the Engine's effects are performed: one filling of libpq's buffer.
  private static let inputLimit = 256 * 1024

  private func read(_ replication: ReplicationConnection) {
    guard engine.wantsInput, !gulp.isHolding else { return }
    do throws(SourceFailure) {
      let drained = try replication.drain(into: &engine, limit: Shell.inputLimit, clock: Clock.now)
      if drained.exhausted { tell(.inputDrained) }
      performEffects()
      let now = Clock.now()
      gulp.read(drained, isBehind: engine.isBehind(at: now), now: now.monotonic)
    } catch {
      failSource(error)
    }
  }

  /// To be called when the query connection's socket is ready.
  func advanceQuery() {
    switch query {
    case .closed: advanceWatch()
    case .renewing(let connector):
      let progress = connector.advance(now: Clock.monotonic())
      report(connector)
      switch progress {
      case .pending, .waits: return
      case .connected(let facts, _, let connection):
        query = .open(connection)
        handle(.queryReconnected(facts))
      case .failed(let failure): failQuery(failure)
      }
    case .open(let connection):
      switch connection.advance() {
      case .pending: return
      case .snapshot(let snapshot): handle(.snapshot(snapshot))
      case .currentTransaction(let xid): handle(.currentTransaction(xid))
      case .walEnd(let end): handle(.walEnd(end))
      case .blocker(let blocker): handle(.blocker(blocker))
      case .retention(let retention): handle(.retention(retention))
      case .lineage(let lineage, let snapshot): handle(.lineage(lineage, snapshot))
      case .confirmedFlush(let position): slotVerified(position)
      case .failed(let failure): failQuery(failure)
      }
    }
  }

  private func report(_ connector: SourceConnector) {
    while let notice = connector.takeNotice() { notices.log(notice) }
  }
}

/// How the PostgreSQL side ends: by an error, or because an answer is overdue.
extension Shell {
  static let startTime: Int64 = 10_000_000_000

  func failSource(_ failure: SourceFailure) {
    loseSource(failure)
    performEffects()
  }

  func failQuery(_ failure: SourceFailure) {
    if case .verifying = source { return failSource(failure) }
    loseQuery(failure)
    performEffects()
  }

  /// For use while effects are being performed.
  func loseSource(_ failure: SourceFailure) {
    closeSource()
    tell(.sourceFailed(failure))
  }

  private func loseQuery(_ failure: SourceFailure) {
    query = .closed
    tell(.queryFailed(failure))
  }

  func sourceDeadline() -> Int64? {
    switch source {
    case .connecting(let connector): connector.deadline
    case .starting(_, let deadline), .startingOutbox(_, let deadline): deadline
    case .closed, .connected, .verifying, .streaming, .outbox: nil
    }
  }

  func failOverdueSource(now: Int64) {
    if case .connecting(let connector) = source { return take(connector.expire(now: now), connector) }
    let action = sourceConfiguration.mode == .notify ? "taking the outbox" : "START_REPLICATION"
    failSource(SourceFailure(.unavailable, "PostgreSQL: \(action): no answer within 10 seconds"))
  }

  func queryDeadline() -> Int64? {
    switch query {
    case .closed: nil
    case .renewing(let connector): connector.deadline
    case .open(let query): query.deadline
    }
  }

  func queryTimeout() -> SourceFailure {
    switch query {
    case .renewing(let connector): connector.timeout
    case .open(let query): query.timeout
    case .closed: SourceFailure(.unavailable, "PostgreSQL: query: no answer within 10 seconds")
    }
  }
}
