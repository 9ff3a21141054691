@testable import Invalidation

/// One cdcd process: the real Engine in a shell that performs its effects against the model servers and
/// objects to every effect that makes no sense.
final class Instance {
  unowned let world: World
  let index: Int
  private(set) var runs = 0
  /// The Engine has facts to compare later ones with.
  var hasStreamed = false
  private(set) var process: Process?
  private(set) lazy var source = SourceShell(instance: self)
  private(set) lazy var redis = RedisShell(instance: self)
  private(set) lazy var replicas = ReplicaShell(instance: self)

  /// A running process; gone at once when killed.
  final class Process {
    var engine: Engine
    var mailbox: [(event: Event, origin: AnyObject?)] = []
    var isStopping: Int64?
    var finished = false
    /// A watermark of its own is in Redis.
    var hasWritten = false
    init(engine: Engine) { self.engine = engine }
  }

  /// What the shell asks the server about: the rules in force, and those that will be.
  private(set) var rules: [Rule] = []
  private var replacedRules: [Rule]?
  private(set) var frozenUntil: Int64 = 0
  /// The last time this process could not run, or started.
  private(set) var disturbed: Int64 = 0
  /// Why the last run exited with status 76, if it did.
  private(set) var halted: GapReason?
  /// Since when readiness has been denied without a break.
  private(set) var notReadySince: Int64?
  private var turns = 0
  private var isPoked = false
  private var timerAt: Int64?
  private var effectsAtInstant = 0
  private var instant: Int64 = -1
  private var idleTimers = 0
  private var idleTimersSince: Int64 = 0
  private var connects: [Int64] = []
  private var random: Randomness

  init(world: World, index: Int) {
    self.world = world
    self.index = index
    self.random = world.random.split()
  }

  var name: String { "cdcd\(index)" }
  var isRunning: Bool { process != nil }
  var history: InvalidationHistory? { process?.engine.history }
  func status() -> EngineStatus? { process?.engine.status(now: world.moment) }

  // MARK: Life

  func start(acceptGap: Bool = false) {
    guard process == nil else { return }
    runs += 1
    halted = nil
    disturbed = world.now
    let options = world.options
    let isOnce = options.mutation == .noSecondDeletes
    rules = Schema.rules(world.ruleVariant, of: options)
    replacedRules = nil
    let configuration = EngineConfiguration(
      rules: rules,
      slot: Schema.slot, retain: .nanoseconds(options.mutation == .noRetention ? 0 : options.retain),
      command: options.command, leases: options.leases, onGap: options.onGap,
      acceptGap: acceptGap, runIdentifier: "run-\(index)-\(runs)",
      replicas: isOnce ? [] : world.replicas.map(\.name), flushRate: options.flushRate,
      losslessCrash: options.losslessCrash,
      losslessFailover: options.losslessFailover || options.mutation == .trustedFailover, mode: options.mode,
      pollInterval: options.listens ? .seconds(1) : .milliseconds(100))
    world.trace { "\(name): starts, run \(runs)" }
    process = Process(engine: Engine(configuration: configuration, seed: random.next(), now: world.moment))
    drain()
    schedule()
  }

  func kill() {
    guard process != nil else { return }
    world.trace { "\(name): killed" }
    end()
  }

  private func end() {
    if let statistics = process?.engine.statistics { world.tally.add(statistics) }
    process = nil
    timerAt = nil
    source.close()
    redis.close()
    replicas.close()
    notReadySince = nil
    frozenUntil = 0
    disturbed = world.now
  }

  /// SIGTERM; `Effect.finished` is expected.
  func stop() {
    guard let process, process.isStopping == nil else { return }
    world.trace { "\(name): SIGTERM" }
    process.isStopping = world.now
    post(.stop, from: nil)
  }

  /// SIGHUP.
  func reload() {
    guard process != nil else { return }
    let rules = Schema.rules(world.ruleVariant, of: world.options)
    replacedRules = rules
    post(.replaceRules(RuleSet(rules, onGap: world.options.onGap)), from: nil)
  }

  func noteReadiness(_ isReady: Bool) {
    notReadySince = isReady ? nil : notReadySince ?? world.now
  }

  /// Whether a flush is in its second round.
  var isInSecondRound: Bool { process?.engine.flushes.job?.round == 1 }

  func freeze(for duration: Int64) {
    guard process != nil else { return }
    world.trace { "\(name): frozen for \(duration / Time.millisecond) ms" }
    frozenUntil = max(frozenUntil, world.now + duration)
    world.scheduler.at(frozenUntil) { [self] in
      guard world.now >= frozenUntil else { return }
      disturbed = world.now
      poke()
    }
  }

  // MARK: The event loop

  /// Queues an event; dropped later if its connection is not the current one any more.
  func post(_ event: Event, from origin: AnyObject?) {
    process?.mailbox.append((event, origin))
    poke()
  }

  /// Runs the loop soon: bytes or an event wait.
  func poke() {
    guard process != nil, !isPoked else { return }
    isPoked = true
    world.after(random.between(5_000, 150_000)) { [self] in
      isPoked = false
      guard frozenUntil <= world.now else { return }
      turn(timer: false)
    }
  }

  private func turn(timer: Bool) {
    guard let process, !process.finished else { return }
    handleMailbox(process)
    readStream(process)
    if let deadline = process.engine.deadline, deadline <= world.moment.monotonic {
      process.engine.handle(.deadlineReached, now: world.moment)
      let before = effectsAtInstant
      drain()
      watchBusyLoop(timer && effectsAtInstant == before)
    }
    guard self.process === process else { return }
    if process.finished { return finish(process) }
    turns += 1
    if turns % world.options.turnsPerStatus == 0 {
      world.oracle.observe(self, process.engine.status(now: world.moment))
    }
    schedule()
  }

  private func handleMailbox(_ process: Process) {
    var index = 0
    while index < process.mailbox.count {
      let (event, origin) = process.mailbox[index]
      index += 1
      guard isCurrent(origin) else { continue }
      if case .redisReply = event {} else { world.trace { "\(name) <- \(event)" } }
      redis.noticed(event, origin)
      if case .sourceFailed = event { source.failed() }
      if case .queryFailed = event { source.connection?.queryFailureDelivered() }
      if case .redisFailed = event { redis.failed() }
      process.engine.handle(event, now: world.moment)
      drain()
    }
    process.mailbox.removeAll(keepingCapacity: true)
  }

  private func isCurrent(_ origin: AnyObject?) -> Bool {
    guard let origin else { return true }
    return origin === source.connection || origin === source.connection?.querySession
      || origin === redis.connection
  }

  private func readStream(_ process: Process) {
    guard let connection = source.connection else { return }
    var count = 0
    while process.engine.wantsInput, count < 2_000, let message = connection.read() {
      count += 1
      world.trace { "\(name) <- \(describe(message))" }
      process.engine.receive(message.span, now: world.moment)
      drain()
      guard source.connection === connection else { return }
    }
    if count > 0 {
      process.engine.handle(.inputDrained, now: world.moment)
      drain()
    }
    guard source.connection === connection else { return }
    if let failure = connection.takeFailure(ignoringInput: !process.engine.wantsInput) {
      source.failed()
      world.trace { "\(name) <- sourceFailed(\(failure))" }
      process.engine.handle(.sourceFailed(failure), now: world.moment)
      drain()
    } else if connection.hasInput, process.engine.wantsInput {
      poke()
    }
  }

  private func describe(_ message: [UInt8]) -> String {
    let lsn = message[1..<9].reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
    guard message[0] == UInt8(ascii: "w") else { return "keepalive \(LSN(lsn)) reply \(message[17])" }
    return "'\(Character(UnicodeScalar(message[25])))' \(LSN(lsn))"
  }

  private func schedule() {
    guard let deadline = process?.engine.deadline else { return timerAt = nil }
    let due = max(deadline - World.clockOffset, world.now + 1_000)
    if let timerAt, timerAt <= due, timerAt > world.now { return }
    timerAt = due
    let lateness = random.chance(900) ? 0 : random.between(0, 2 * Time.millisecond)
    world.scheduler.at(due + lateness) { [self] in
      guard timerAt == due else { return }
      timerAt = nil
      guard process != nil else { return }
      guard frozenUntil <= world.now else {
        timerAt = frozenUntil + 1
        return world.scheduler.at(frozenUntil + 1) { [self] in
          timerAt = nil
          turn(timer: true)
        }
      }
      turn(timer: true)
    }
  }

  /// A deadline that fires again and again without any effect would be a core at 100 %.
  private func watchBusyLoop(_ isIdle: Bool) {
    if world.now - idleTimersSince > 10 * Time.millisecond {
      idleTimersSince = world.now
      idleTimers = 0
    }
    if isIdle { idleTimers += 1 }
    if idleTimers > 200 {
      world.fail("effect", "\(name): busy loop: 200 deadlines in 10 ms had no effect")
    }
  }

  /// A server that is asked for connections without a pause is attacked.
  private func watchConnects() {
    connects.removeAll { $0 <= world.now - Time.second }
    connects.append(world.now)
    if connects.count > 20 {
      world.fail("effect", "\(name): connects to PostgreSQL more than 20 times within a second")
    }
  }

  // MARK: Effects

  private func drain() {
    guard let process else { return }
    if world.now != instant {
      instant = world.now
      effectsAtInstant = 0
    }
    while self.process === process, let effect = process.engine.nextEffect() {
      effectsAtInstant += 1
      if effectsAtInstant > 10_000 {
        return world.fail("effect", "\(name): 10,000 effects at one instant")
      }
      perform(effect, process)
      if process.finished || world.violation != nil { return }
    }
  }

  private func perform(_ effect: Effect, _ process: Process) {
    trace(effect)
    switch effect {
    case .connectSource:
      watchConnects()
      source.connect()
    case .startReplication(let lsn): source.open { $0.start(at: lsn) }
    case .closeSource: source.close()
    case .sendFeedback(let feedback): source.open { $0.send(feedback) }
    case .readOutbox(let read): source.open { $0.readOutbox(read) }
    case .removeFromOutbox(let removal): source.open { $0.removeFromOutbox(removal) }
    case .moveWAL: source.open { $0.moveWAL() }
    case .touchOutbox: source.open { $0.askOutbox { $0(.outboxTouched) } }
    case .querySnapshot: source.open { $0.query { .snapshot($0.snapshot()) } }
    case .queryCurrentTransaction: source.open { $0.query { .currentTransaction($0.currentTransaction()) } }
    case .queryWALEnd: source.open { $0.query { .walEnd(LSN($0.walEnd)) } }
    case .queryLineage(let table):
      source.open { $0.query { .lineage($0.lineage(of: table), $0.snapshot()) } }
    case .queryBlocker: source.open { $0.query { _ in .blocker(nil) } }
    case .queryRetention: source.open { $0.query { .retention($0.retention()) } }
    case .askReplica(let replica): replicas.ask(replica, for: process)
    case .rulesReplaced: rules = replacedRules ?? rules
    case .reconnectQuery: source.open { $0.reconnectQuery() }
    case .connectRedis(let target): redis.connect(target)
    case .sendRedis(let target, let bytes): redis.send(target, bytes)
    case .closeRedis: redis.close()
    case .report(let notice): world.oracle.notice(notice)
    case .halt(let reason):
      if world.options.onGap != .halt,
        !process.engine.configuration.rules.contains(where: { $0.onGap == .halt })
      {
        world.fail("effect", "\(name): halt(\(reason)) although the policy is \(world.options.onGap)")
      }
      halted = reason
      process.finished = true
    case .finished:
      if process.isStopping == nil { world.fail("effect", "\(name): finished without being stopped") }
      process.finished = true
    }
  }

  private func trace(_ effect: Effect) {
    if case .sendRedis(_, let bytes) = effect {
      world.trace { "\(name) -> redis \(bytes.count) bytes" }
    } else {
      world.trace { "\(name) -> \(effect)" }
    }
  }

  private func finish(_ process: Process) {
    world.trace { "\(name): exits " + (halted == nil ? "0" : "76") }
    end()
    world.oracle.exited(self)
  }
}

/// The shell's PostgreSQL side: at most one pair of connections.
final class SourceShell {
  unowned let instance: Instance
  private(set) var connection: SourceConnection?

  init(instance: Instance) { self.instance = instance }

  func connect() {
    guard connection == nil else {
      return instance.world.fail("effect", "connectSource while connected")
    }
    let connection = SourceConnection(world: instance.world, instance: instance)
    self.connection = connection
    connection.connect()
  }

  func open(_ body: (SourceConnection) -> Void) {
    guard let connection else { return instance.world.fail("effect", "source effect on closed connections") }
    body(connection)
  }

  func close() {
    connection?.close()
    connection = nil
  }

  /// The shell has closed both connections because one of them failed.
  func failed() { connection = nil }

  func queryBroke(_ kind: SourceFailure.Kind, _ message: String) { connection?.queryBroke(kind, message) }
  func serverGone() { connection?.serverGone() }
  func replicationBroke(_ kind: SourceFailure.Kind, _ message: String) {
    connection?.replicationBroke(kind, message)
  }
}

/// The shell's Redis side: at most one connection, to target 0.
final class RedisShell {
  unowned let instance: Instance
  private(set) var connection: RedisConnection?
  /// The Redis history whose watermark the Engine has read last.
  private(set) var judgedLineage = -1

  init(instance: Instance) { self.instance = instance }

  func connect(_ target: Int) {
    guard target == 0, connection == nil else {
      return instance.world.fail("effect", "connectRedis(\(target)) while connected")
    }
    let connection = RedisConnection(world: instance.world, instance: instance)
    self.connection = connection
    connection.connect()
  }

  func send(_ target: Int, _ bytes: [UInt8]) {
    guard target == 0, let connection, connection.isOpenForClient else {
      return instance.world.fail("effect", "sendRedis on a closed connection")
    }
    instance.world.faults.sending(bytes)
    connection.send(bytes)
  }

  func close() {
    connection?.clientCloses()
    connection = nil
    judgedLineage = -1
  }

  func failed() {
    connection = nil
    judgedLineage = -1
  }

  func judgementHolds(from old: Int, to new: Int) {
    if judgedLineage == old { judgedLineage = new }
  }

  func noticed(_ event: Event, _ origin: AnyObject?) {
    guard case .redisReply = event, let connection, connection === origin else { return }
    if let lineage = connection.takeJudgedLineage() { judgedLineage = lineage }
  }

}
