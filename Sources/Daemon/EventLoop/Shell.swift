import Glibc
import Invalidation
import Logging
import PostgresSource
import RedisSink

/// The Engine's shell on the event loop's thread: it owns every socket, hands what they bring to the Engine and
/// performs what the Engine asks. It decides nothing about invalidation.
final class Shell {
  /// The connection that brings the changes; the query connection has its own state, since it is renewed alone.
  enum Source {
    case closed
    case connecting(SourceConnector)
    /// Until `Effect.startReplication`.
    case connected(ChangeConnection)
    /// START_REPLICATION is sent and has to be answered by then.
    case starting(ReplicationConnection, deadline: Int64)
    /// The stream has begun; the slot's position is being asked for, and nothing is read meanwhile.
    case verifying(ReplicationConnection)
    case streaming(ReplicationConnection)
    /// The lock is asked for and has to be answered by then.
    case startingOutbox(OutboxConnection, deadline: Int64)
    case outbox(OutboxConnection)
  }

  enum Query {
    case closed
    case renewing(SourceConnector)
    case open(QueryConnection)
  }

  var engine: Engine
  var source = Source.closed
  var query = Query.closed
  var targets: [RedisConnection?]
  /// Targets whose host's name is being resolved, before there is a connection.
  var resolutions: [NameResolution?]
  var replicas: [Replica]
  /// Targets with bytes that were appended and not offered to the socket yet.
  var unflushed: [Int] = []
  /// Whether the replication socket is left alone for a moment.
  var gulp = Gulp(over: .network)
  var outcome: EventLoop.Outcome?
  let notices: NoticeLog

  /// Of the rules in force.
  var sourceConfiguration: PostgresSourceConfiguration
  /// Of those that the Engine was given last.
  var replacedSource: PostgresSourceConfiguration?
  let addresses: [RedisAddress]
  let replicaAddresses: [ReplicaAddress]
  private var publisher: Publisher
  private var readiness: ReadinessLog
  var service: ServiceReport
  private let board: StatusBoard
  private let wakeup: Wakeup
  private var polled: PollSet
  private var stopHandled = false

  init(
    engine configuration: EngineConfiguration, source: PostgresSourceConfiguration, targets: [RedisAddress],
    replicas: [ReplicaAddress], board: StatusBoard, manager: ServiceManager, logger: Logger, wakeup: Wakeup
  ) {
    let now = Clock.now()
    engine = Engine(configuration: configuration, seed: .random(in: .min ... .max), now: now)
    sourceConfiguration = source
    addresses = targets
    self.targets = targets.map { _ in nil }
    resolutions = targets.map { _ in nil }
    replicaAddresses = replicas
    self.replicas = replicas.map { _ in .closed }
    self.board = board
    self.wakeup = wakeup
    notices = NoticeLog(logger: logger, board: board)
    publisher = Publisher(board)
    readiness = ReadinessLog(startedAt: now.monotonic)
    service = ServiceReport(manager)
    polled = PollSet(places: Place.firstTarget + targets.count + replicas.count)
  }

  /// Where each descriptor is in the poll set.
  private enum Place {
    static let wakeup = 0
    static let source = 1
    static let query = 2
    static let firstTarget = 3
  }

  /// Where a replica's descriptor is.
  private func place(ofReplica replica: Int) -> Int { Place.firstTarget + targets.count + replica }

  func run() -> EventLoop.Outcome {
    performEffects()
    while true {
      if let outcome { return finish(outcome) }
      report(now: Clock.now())
      preparePoll()
      polled.wait(timeout: timeout(), naps: gulp.isHolding && gulp.pause < 1_000_000)
      turn()
    }
  }

  /// Tells whoever wants to know where everything stands.
  private func report(now: Moment) {
    service.turn(now: now.monotonic)
    guard let status = publisher.publish(engine, now: now) else { return }
    notices.logOverdue()
    guard !stopHandled else { return }
    let rules = engine.statistics.ruleNames.count
    if let notice = readiness.notice(status, rules: rules, now: now.monotonic) { notices.log(notice) }
    service.tell(status, rules: rules, now: now.monotonic)
  }

  /// One turn: what is ready is handled in this order, for these reasons.
  private func turn() {
    let wasHolding = gulp.isHolding
    // Stopping and waiting readers change what the Engine does with all the rest, and are rare.
    takeRequests()
    // Replies free memory and tell whether more input is wanted at all.
    for target in targets.indices where polled.isReady(Place.firstTarget + target) { advanceRedis(target) }
    // Answers clear what waits at the barrier, before new changes queue behind it.
    if polled.isReady(Place.query) { advanceQuery() }
    for replica in replicas.indices where polled.isReady(place(ofReplica: replica)) {
      advanceReplica(replica)
    }
    // Input makes new work, so it comes when the old has been moved on as far as it goes.
    // During a gulp its socket was not polled; when one has just ended, looking is cheaper than another turn.
    if gulp.isOver(at: Clock.monotonic()) { gulp.release() }
    let gulpEnded = wasHolding && !gulp.isHolding
    advanceSource(
      readable: polled.isReadable(Place.source) || gulpEnded, ready: polled.isReady(Place.source))
    // Deadlines last: what arrived in time has been seen by now.
    checkDeadlines(now: Clock.monotonic())
  }

  private func takeRequests() {
    if polled.isReady(Place.wakeup) {
      wakeup.clear()
      for position in board.takeAwaited() { handle(.awaited(position)) }
      if let replacement = wakeup.takeReplacement() {
        replacedSource = replacement.source
        handle(.replaceRules(replacement.rules))
      }
    }
    if wakeup.isStopRequested, !stopHandled {
      stopHandled = true
      service.stopping("stopping: finishing what is in flight")
      handle(.stop)
    }
  }

  /// Hands an event to the Engine and performs what it asks for.
  func handle(_ event: Event) {
    engine.handle(event, now: Clock.now())
    performEffects()
  }

  /// The last status goes out, and the connections close with the shell.
  private func finish(_ outcome: EventLoop.Outcome) -> EventLoop.Outcome {
    let status = publisher.publishNow(engine, now: Clock.now())
    notices.logOverdue(isEnd: true)
    switch outcome {
    case .halted(let reason): service.stopping("halted on a gap: \(reason.explanation)")
    case .finished:
      let rest = status.received > status.settled
      notices.log(
        Notice(
          .info, "stopped",
          rest
            ? "stopped; what was received up to \(status.received) and is not settled is replayed at the next start"
            : "stopped; all that was received is settled", lsn: status.settled))
    }
    return outcome
  }

  private func preparePoll() {
    polled.set(Place.wakeup, wakeup.fileDescriptor, Int16(POLLIN))
    let (descriptor, events) = sourceInterest()
    polled.set(Place.source, descriptor, events)
    switch query {
    case .closed:
      polled.clear(Place.query)
      if case .connecting(let connector) = source, let watch = connector.watch {
        polled.set(Place.query, watch.fileDescriptor, watch.pollEvents)
      }
    case .renewing(let connector): polled.set(Place.query, connector.fileDescriptor, connector.pollEvents)
    case .open(let query): polled.set(Place.query, query.fileDescriptor, query.pollEvents)
    }
    for (target, connection) in targets.enumerated() {
      let place = Place.firstTarget + target
      if let resolution = resolutions[target] {
        polled.set(place, resolution.fileDescriptor, Int16(POLLIN))
        continue
      }
      guard let connection else {
        polled.clear(place)
        continue
      }
      polled.set(place, connection.fileDescriptor, connection.pollEvents)
    }
    for replica in replicas.indices { pollReplica(replica) }
  }

  private func pollReplica(_ replica: Int) {
    let place = place(ofReplica: replica)
    switch replicas[replica] {
    case .closed: polled.clear(place)
    case .resolving(let resolution): polled.set(place, resolution.fileDescriptor, Int16(POLLIN))
    case .open(let connection): polled.set(place, connection.fileDescriptor, connection.pollEvents)
    }
  }

  private func sourceInterest() -> (fileDescriptor: Int32, events: Int16) {
    switch source {
    case .closed, .verifying: return (-1, 0)
    case .connecting(let connector): return (connector.fileDescriptor, connector.pollEvents)
    case .connected(.replication(let replication)), .starting(let replication, _):
      return (replication.fileDescriptor, replication.startPollEvents)
    case .connected(.outbox(let outbox)), .startingOutbox(let outbox, _), .outbox(let outbox):
      return (outbox.fileDescriptor, outbox.pollEvents)
    case .streaming(let replication):
      let reading = engine.wantsInput && !gulp.isHolding
      return (
        replication.fileDescriptor,
        (reading ? Int16(POLLIN) : 0) | (replication.wantsWrite ? Int16(POLLOUT) : 0)
      )
    }
  }

  /// How long nothing has to be done, in nanoseconds.
  private func timeout() -> Int64 {
    // What libpq has read already does not make the socket readable.
    if case .streaming(let replication) = source, replication.mayHoldInput, engine.wantsInput, !gulp.isHolding
    {
      return 0
    }
    if outcome != nil { return 0 }
    var earliest = min(publisher.deadline, service.deadline)
    if let deadline = engine.deadline { earliest = min(earliest, deadline) }
    if let deadline = connectionDeadline() { earliest = min(earliest, deadline) }
    if let end = gulp.end { earliest = min(earliest, end) }
    if case .connecting(let connector) = source { earliest = min(earliest, connector.watchDueAt ?? .max) }
    return earliest - Clock.monotonic()
  }

  private func checkDeadlines(now: Int64) {
    askWatch(now: now)
    if let deadline = connectionDeadline(), now >= deadline { failOverdue(now: now) }
    if let deadline = engine.deadline, now >= deadline { handle(.deadlineReached) }
  }

  private func connectionDeadline() -> Int64? {
    var earliest = sourceDeadline() ?? .max
    earliest = min(earliest, queryDeadline() ?? .max)
    for connection in targets { earliest = min(earliest, connection?.deadline ?? .max) }
    for resolution in resolutions { earliest = min(earliest, resolution?.deadline ?? .max) }
    for replica in replicas.indices { earliest = min(earliest, replicaDeadline(replica) ?? .max) }
    return earliest == .max ? nil : earliest
  }

  private func failOverdue(now: Int64) {
    if let deadline = sourceDeadline(), now >= deadline { failOverdueSource(now: now) }
    if let deadline = queryDeadline(), now >= deadline { failQuery(queryTimeout()) }
    for target in targets.indices {
      if let resolution = resolutions[target], now >= resolution.deadline {
        failRedis(target, resolution.timeout.message)
      }
      guard let connection = targets[target], let deadline = connection.deadline, now >= deadline else {
        continue
      }
      failRedis(target, connection.timeout.message)
    }
    for replica in replicas.indices {
      if let deadline = replicaDeadline(replica), now >= deadline { failOverdueReplica(replica) }
    }
  }
}
