import Invalidation

/// One pair of PostgreSQL connections of one instance, from `connectSource` until either side ends it.
final class SourceConnection {
  enum State { case connecting, open, starting, streaming, closed }

  unowned let world: World
  unowned let instance: Instance
  private(set) var state = State.connecting
  private(set) var queryIsOpen = false
  private(set) var queryIsOutstanding = false
  /// Likewise for the query connection alone.
  private var queryIsDoomed = false
  /// The present query connection: what an earlier one had brought is not taken any more.
  private(set) var querySession = QuerySession()
  final class QuerySession {}
  private var walsender: Walsender?
  /// Messages on their way, and messages the shell has not read yet.
  private var inTransit: [[UInt8]] = []
  private var isArriving = false
  private var inbox: [[UInt8]] = []
  private var inboxHead = 0
  private(set) var unreadBytes = 0
  /// The furthest position in anything that arrived.
  private(set) var arrived: UInt64 = 0
  private(set) var startedAt: UInt64 = 0
  private var failure: SourceFailure?
  /// It has failed, and the event that says so waits in the shell's queue: effects go nowhere.
  private var isDoomed = false
  private(set) var lastFeedback: Feedback?
  private(set) var lastFeedbackTime: Int64 = 0
  var streamingSince: Int64 = 0

  /// The rules that the server is asked about.
  private let rules: [Rule]
  private var random: Randomness

  init(world: World, instance: Instance) {
    self.world = world
    self.instance = instance
    self.rules = instance.rules
    self.random = world.random.split()
  }

  private var postgres: ModelPostgres { world.postgres }

  // MARK: Effects

  func connect() {
    whenAnswering(latency()) { [self] in
      guard state == .connecting else { return }
      guard postgres.unreachableUntil <= world.now, postgres.availability != .down else {
        return fail(.unavailable, "connection refused")
      }
      guard postgres.availability == .up else {
        return fail(.shuttingDown, "the database system is shutting down")
      }
      if world.options.mode == .notify { return opened(created: false) }
      if postgres.slot != nil { opened(created: false) } else { createSlot(after: postgres.upcomingXid) }
    }
  }

  /// CREATE_REPLICATION_SLOT waits for every transaction that runs, until its commit record is written.
  private func createSlot(after xid: UInt64) {
    guard state == .connecting else { return }
    guard postgres.availability == .up else { return fail(.unavailable, "terminating connection") }
    if postgres.slot != nil { return opened(created: false) }
    guard postgres.oldestRunning >= xid else {
      return whenAnswering(5 * Time.millisecond) { [self] in createSlot(after: xid) }
    }
    postgres.createSlot()
    opened(created: true)
  }

  private func opened(created: Bool) {
    state = .open
    var facts = postgres.facts(for: rules)
    facts.slotCreated = created
    world.oracle.sourceConnected(self)
    guard world.options.factsAge > 0 else { return learned(facts) }
    whenAnswering(world.options.factsAge) { [self] in
      guard state == .open else { return }
      guard postgres.availability == .up, postgres.unreachableUntil <= world.now else {
        return fail(.unavailable, "server closed the connection")
      }
      learned(facts)
    }
  }

  private func learned(_ facts: SourceFacts) {
    queryIsOpen = true
    instance.post(.sourceConnected(facts), from: self)
  }

  func start(at lsn: LSN) {
    if isDoomed { return }
    guard state == .open else {
      return world.fail("effect", "startReplication while the source is \(state)")
    }
    state = .starting
    startedAt = lsn.rawValue
    whenAnswering(latency()) { [self] in
      guard state == .starting else { return }
      guard postgres.availability == .up, postgres.unreachableUntil <= world.now else {
        return fail(.unavailable, "server closed the connection")
      }
      if world.options.mode == .notify { return startOutbox() }
      guard postgres.slot != nil else { return fail(.slotLost, "replication slot does not exist") }
      guard postgres.walsender == nil else { return fail(.slotInUse, "replication slot is active") }
      let walsender = Walsender(world: world, client: self, start: lsn.rawValue, random: random.split())
      postgres.walsender = walsender
      self.walsender = walsender
      state = .streaming
      streamingSince = world.now
      instance.hasStreamed = true
      arrived = max(lsn.rawValue, postgres.slot?.confirmed ?? 0)
      // The server begins at the confirmed position without a word if that is later than what was asked for.
      let confirmed = world.options.mutation == .trustStaleFacts ? lsn : postgres.facts.confirmedFlush
      instance.post(.replicationStarted(confirmedFlush: confirmed), from: self)
      walsender.wake()
      watchTimeout(walsender)
    }
  }

  private func watchTimeout(_ walsender: Walsender) {
    world.after(Time.second) { [weak self] in
      guard let self, self.state == .streaming || self.state == .closed, postgres.walsender === walsender
      else { return }
      walsender.checkTimeout()
      watchTimeout(walsender)
    }
  }

  func send(_ feedback: Feedback) {
    if isDoomed { return }
    guard state == .streaming else {
      return world.fail("effect", "sendFeedback while the source is \(state)")
    }
    var feedback = feedback
    if world.options.mutation == .confirmEarly {
      feedback.confirmed = max(feedback.confirmed, feedback.received)
    }
    world.oracle.feedback(feedback, on: self)
    lastFeedback = feedback
    lastFeedbackTime = world.now
    guard failure == nil, let walsender else { return }
    world.after(random.between(20_000, 300_000)) { walsender.receive(feedback) }
  }

  func query(_ answer: @escaping (ModelPostgres) -> Event) {
    if isDoomed || queryIsDoomed { return }
    guard state != .closed, state != .connecting, queryIsOpen else {
      return world.fail("effect", "query without a query connection (source is \(state))")
    }
    guard !queryIsOutstanding else { return world.fail("effect", "two outstanding queries") }
    queryIsOutstanding = true
    let session = querySession
    whenAnswering(latency() / 2) { [self] in
      guard queryIsOpen, session === querySession, postgres.availability == .up else { return }
      let event = answer(postgres)
      world.after(latency() / 2) { [self] in
        guard queryIsOpen, session === querySession else { return }
        queryIsOutstanding = false
        instance.post(event, from: session)
      }
    }
  }

  /// Also ends a query that has no answer.
  func reconnectQuery() {
    if isDoomed { return }
    guard state == .streaming || state == .open || state == .starting else {
      return world.fail("effect", "reconnectQuery while the source is \(state)")
    }
    queryIsOpen = false
    queryIsOutstanding = false
    queryIsDoomed = false
    querySession = QuerySession()
    let session = querySession
    let rules = instance.rules
    whenAnswering(latency()) { [self] in
      guard state != .closed, session === querySession else { return }
      switch postgres.availability {
      case .up where postgres.unreachableUntil <= world.now:
        queryIsOpen = true
        instance.post(.queryReconnected(postgres.facts(for: rules)), from: session)
      case .shuttingDown:
        instance.post(.queryFailed(SourceFailure(.shuttingDown, "is shutting down")), from: session)
      case .up, .down:
        instance.post(.queryFailed(SourceFailure(.unavailable, "connection refused")), from: session)
      }
    }
  }

  /// The shell closes both connections.
  func close() {
    state = .closed
    queryIsOpen = false
    querySession = QuerySession()
    inbox = []
    unreadBytes = 0
    walsender?.clientGone()
    walsender = nil
    releaseOutbox()
  }

  // MARK: The outbox

  private var outboxIsAsked = false
  private var outboxAskedAt: Int64 = 0

  private func startOutbox() {
    guard postgres.outbox.holder == nil else { return fail(.slotInUse, "another cdcd reads the outbox") }
    postgres.outbox.holder = self
    state = .streaming
    streamingSince = world.now
    instance.hasStreamed = true
    outboxAskedAt = world.now
    instance.post(.replicationStarted(confirmedFlush: LSN(postgres.outbox.removedTo)), from: self)
    watchIdleSession()
  }

  /// `idle_session_timeout` of 10 s.
  private func watchIdleSession() {
    world.after(Time.second) { [self] in
      guard postgres.outbox.holder === self else { return }
      guard outboxIsAsked || world.now - outboxAskedAt < 10 * Time.second || postgres.frozenUntil > world.now
      else {
        postgres.outbox.holder = nil
        return replicationBroke(.unavailable, "terminating connection due to idle-session timeout")
      }
      watchIdleSession()
    }
  }

  func sessionKilled() {
    postgres.outbox.holder = nil
    replicationBroke(.unavailable, "terminating connection due to administrator command")
  }

  /// The server notices a little later that the client is gone.
  private func releaseOutbox() {
    guard postgres.outbox.holder === self else { return }
    let delay = max(random.between(50_000, 3_000_000), postgres.frozenUntil - world.now)
    world.after(delay) { [self] in
      if postgres.outbox.holder === self { postgres.outbox.holder = nil }
    }
  }

  /// New rows are visible.
  func notify() {
    guard world.options.listens else { return }
    whenAnswering(random.between(50_000, 500_000)) { [self] in
      if state == .streaming, failure == nil { instance.post(.outboxNotified, from: self) }
    }
  }

  /// `answer` runs on the server.
  func askOutbox(_ answer: @escaping (@escaping (Event) -> Void) -> Void) {
    if isDoomed { return }
    guard state == .streaming else {
      return world.fail("effect", "a question of the outbox while the source is \(state)")
    }
    guard !outboxIsAsked else { return world.fail("effect", "two outstanding questions of the outbox") }
    outboxIsAsked = true
    whenAnswering(latency() / 2) { [self] in
      guard state == .streaming, failure == nil, postgres.availability == .up else { return }
      answer { [self] event in
        outboxAskedAt = world.now
        world.after(latency() / 2) { [self] in
          guard state == .streaming, failure == nil else { return }
          outboxIsAsked = false
          instance.post(event, from: self)
        }
      }
    }
  }

  func readOutbox(_ read: OutboxRead) {
    askOutbox { [self] answer in
      let flushed = LSN(postgres.walEnd)
      // The snapshot is taken a moment later.
      whenAnswering(random.chance(700) ? 1_000 : random.between(1_000, 2_000_000)) { [self] in
        let isMutated = world.options.mutation == .positionAfterSnapshot
        let page = postgres.outbox.page(
          read, flushedBefore: isMutated ? LSN(postgres.walEnd + 1) : flushed,
          limit: random.pick([1, 3, 1_000]))
        answer(.outboxRead(page))
      }
    }
  }

  func removeFromOutbox(_ removal: OutboxRemoval) {
    askOutbox { [self] answer in
      guard postgres.outbox.holder === self else {
        return world.fail("effect", "rows of the outbox are removed without its lock")
      }
      postgres.outbox.remove(removal, by: instance)
      answer(.outboxRemoved)
    }
  }

  func moveWAL() {
    askOutbox { [self] answer in
      postgres.writeWAL(80)
      answer(.walMoved)
    }
  }

  // MARK: The server's side

  func deliver(_ message: [UInt8], upTo position: UInt64) {
    guard state == .streaming, failure == nil else { return }
    unreadBytes += message.count
    inTransit.append(message)
    guard !isArriving else { return }
    isArriving = true
    world.after(random.between(10_000, 200_000)) { [self] in
      isArriving = false
      arrive(inTransit.count)
    }
  }

  private func arrive(_ count: Int) {
    guard state == .streaming else { return }
    for message in inTransit.prefix(count) {
      arrived = max(arrived, SourceConnection.position(message))
      inbox.append(message)
    }
    inTransit.removeFirst(count)
    instance.poke()
  }

  /// The furthest position a client may read out of a message.
  private static func position(_ message: [UInt8]) -> UInt64 {
    func int64(_ offset: Int) -> UInt64 { message[offset..<offset + 8].reduce(0) { $0 << 8 | UInt64($1) } }
    guard message[0] == UInt8(ascii: "w"), message[25] == UInt8(ascii: "C") else { return int64(1) }
    return max(int64(1), int64(35))
  }

  func replicationBroke(_ kind: SourceFailure.Kind, _ message: String) {
    guard state == .streaming, failure == nil else { return }
    walsender = nil
    let failure = SourceFailure(kind, message)
    self.failure = failure
    let rest = random.below(inTransit.count + 1)
    world.after(random.between(10_000, 2_000_000)) { [self] in
      guard state == .streaming else { return }
      arrive(min(rest, inTransit.count))
      instance.poke()
    }
  }

  /// The query connection alone breaks.
  func queryBroke(_ kind: SourceFailure.Kind, _ message: String) {
    guard queryIsOpen else { return }
    queryIsOpen = false
    queryIsOutstanding = false
    queryIsDoomed = true
    querySession = QuerySession()
    let session = querySession
    world.after(random.between(10_000, 1_000_000)) { [self] in
      guard state != .closed, session === querySession else { return }
      instance.post(.queryFailed(SourceFailure(kind, message)), from: session)
    }
  }

  /// The server is gone: whatever was asked is answered by an error.
  func serverGone() {
    if state == .open || state == .starting {
      world.after(random.between(10_000, 1_000_000)) { [self] in
        guard state == .open || state == .starting else { return }
        fail(.unavailable, "server closed the connection unexpectedly")
      }
    } else {
      if random.chance(500) { queryBroke(.unavailable, "server closed the connection unexpectedly") }
      replicationBroke(.unavailable, "server closed the connection unexpectedly")
    }
  }

  // MARK: The shell's side

  /// The next message the shell reads; nil when nothing is there.
  func read() -> [UInt8]? {
    guard inboxHead < inbox.count else { return nil }
    let message = inbox[inboxHead]
    inboxHead += 1
    unreadBytes -= message.count
    if inboxHead == inbox.count {
      inbox.removeAll(keepingCapacity: true)
      inboxHead = 0
      walsender?.wake()
    }
    return message
  }

  var hasInput: Bool { inboxHead < inbox.count }

  /// The shell hands the query connection's failure to the Engine now.
  func queryFailureDelivered() { queryIsDoomed = false }

  /// The failure that stands behind the last message, or at once when the shell does not read.
  func takeFailure(ignoringInput: Bool) -> SourceFailure? {
    guard state == .streaming, let failure, ignoringInput || (!hasInput && !isArriving) else { return nil }
    close()
    return failure
  }

  private func fail(_ kind: SourceFailure.Kind, _ message: String) {
    close()
    isDoomed = true
    instance.post(.sourceFailed(SourceFailure(kind, message)), from: self)
  }

  private func latency() -> Int64 {
    random.chance(950) ? random.between(60_000, 800_000) : random.between(800_000, 20_000_000)
  }

  /// After `delay`, and not before the server thaws.
  private func whenAnswering(_ delay: Int64, _ body: @escaping () -> Void) {
    world.after(delay) { [self] in
      let wait = max(postgres.frozenUntil, 0)
      if wait > world.now { world.scheduler.at(wait + 1_000, body) } else { body() }
    }
  }
}

extension ModelPostgres {
  /// By the places of these rules.
  fileprivate func facts(for rules: [Rule]) -> SourceFacts {
    var facts = facts
    if !facts.bareTables.isEmpty { facts.bareTables = Schema.bareTables(rules) }
    if world.options.mutation != .untoldTypes {
      facts.conditionTypes = Schema.conditionTypes(rules, after: visibleRetypes)
    }
    return facts
  }
}
