import Invalidation

/// What a world is made of; everything follows from the seed unless a test says otherwise.
struct WorldOptions {
  /// Something broken on purpose, to show that the oracle notices.
  enum Mutation: CaseIterable {
    /// The snapshot query says that everything committed is visible: no barrier.
    case snapshotLies
    /// Redis deletes keys but keeps their leases.
    case stripLeases
    /// Redis acknowledges some deletes without doing them.
    case loseDeletes
    /// The watermark is set whatever was there: the evidence of a break is destroyed.
    case blindWatermark
    /// The watermark survives what the data does not, as if it were kept elsewhere.
    case watermarkElsewhere
    /// The shell does not look whether the slot moved before it was taken.
    case trustStaleFacts
    /// The look at the catalogue does not see that the publication was changed.
    case blindLook
    /// The Engine is not told that a table has partitions.
    case noPartitions
    /// The end of the WAL is read after the snapshot of the outbox and not before.
    case positionAfterSnapshot
    /// DDL is not told: the event triggers are missing.
    case silentDDL
    /// The look at the catalogue does not see the types of the columns that a `where` tests.
    case untoldTypes
    /// Messages by which applications name keys do not come.
    case silentMessages
    /// Feedback confirms on receipt.
    case confirmEarly
    /// The Engine knows of no replica and no `redelete_after`.
    case noSecondDeletes
    /// Every replica claims to have replayed everything there will ever be.
    case secondDeleteAtVisibility
    /// Every replica tells what it has received for what it has replayed.
    case receivedForReplayed
    /// A start goes by the applied position.
    case restartAtApplied
    /// The second round of a flush finds nothing.
    case noSecondRound
    /// The Engine confirms what is settled at once.
    case noRetention
    /// The Engine is told that failovers lose nothing, and they do.
    case trustedFailover
  }

  var duration = 10 * Time.second
  var retain = 10 * Time.second
  var command = EngineConfiguration.DeleteCommand.unlink
  var onGap = GapPolicy.flush
  /// `redis.leases`; a world without has no readers.
  var leases = true
  var flushRate = 50_000
  /// One way, at most, in most cases: a slow one keeps several batches in flight.
  var redisLatency = 300 * Time.microsecond
  var rowCount = 4
  var readers = 3
  /// Those who fill by a plain SET.
  var plainReaders = 0
  /// Read replicas, declared to cdcd and used by readers, and how far they are behind at least.
  var replicas = 0
  var steadyLag: Int64 = 0
  /// The shortest `redelete_after`; 0 for none.
  var redeleteAfter: Int64 = 0
  var adjustRule: (inout Rule) -> Void = { _ in }
  /// E-mail addresses, and with them keys, are so much longer.
  var emailPadding = 0
  var readPause = 30 * Time.millisecond
  var writePause = 400 * Time.millisecond
  /// A transaction begins each time this has passed; 0 for pauses by chance.
  var steadyPause: Int64 = 0
  /// Of 1,000 transactions, those that are visible within 0.1 ms of their commit record.
  var promptVisibility = 850
  var bulkPerMille = 0
  var bulkRows = 3_000
  /// Of 100 changes of a row that is there, those that delete it.
  var deletePercent = 15
  var truncatePerMille = 10
  var alterPerMille = 0
  /// Some of that DDL has a column print otherwise that rules test.
  var retypes = false
  /// Of 1,000 transactions, those that name keys in a message.
  var messagePerMille = 0
  /// What the stream is written in.
  var mode = SourceMode.pgoutput
  /// Of an outbox: NOTIFY wakes the daemon.
  var listens = true
  /// The users have partitions, which the stream names.
  var partitioned = false
  /// So many rows go with each TRUNCATE that are cached, besides those the workload knows.
  var plantedRows = 0
  /// A SCAN takes at least so many pages.
  var scanPages = 3
  /// After a freeze commands reach Redis one by one, not all at once.
  var thawsSlowly = false
  var sendsEmptyTransactions = false
  var walStart: UInt64 = 0x16B_3748
  var nextXid: UInt64 = 750
  var instances = 1
  /// So long after the shell has asked for the WAL's end it has the rest of the facts together.
  var factsAge: Int64 = 0
  /// The status costs more than the rest of a turn: it is judged once in so many.
  var turnsPerStatus = 1
  var faults: [Fault] = []
  var faultPause = 4 * Time.second
  var asynchronousCommit = false
  var losslessCrash = true
  /// A standby that takes over has everything that readers saw, and the Engine is told so.
  var losslessFailover = false
  var mutation: Mutation?
  /// How long a fast shutdown may take; 0 for no limit.
  var shutdownLimit: Int64 = 0
  /// How long a commit may stay visible without its deletes while nothing is wrong; 0 for no limit.
  var checksProgress = false
  var stopsAtTheEnd = false

  /// A test injects faults by itself.
  var isStory = false
  var hasSecondDeletes: Bool { replicas > 0 || redeleteAfter > 0 }
  var isFaultless: Bool { faults.isEmpty && instances == 1 && !isStory }

  init() {}

  init(seed: UInt64, allowed: [Fault] = Fault.allCases) {
    var random = Randomness(seed: seed ^ 0x0BAD_5EED)
    duration = random.between(3, 10) * Time.second
    retain = random.pick([2, 10, 10, 60]) * Time.second
    command = random.chance(700) ? .unlink : .del
    flushRate = random.pick([5_000, 50_000])
    redisLatency = random.pick([300, 300, 5_000, 80_000]) * Time.microsecond
    rowCount = 1 + random.below(6)
    readers = 2 + random.below(3)
    readPause = random.pick([10, 40, 100]) * Time.millisecond
    writePause = random.pick([100, 400, 1_000]) * Time.millisecond
    promptVisibility = random.pick([1_000, 900, 700, 300])
    bulkPerMille = random.chance(100) ? 10 : 0
    bulkRows = random.chance(300) ? 3_000 : 1_100
    truncatePerMille = random.pick([0, 0, 10, 40])
    sendsEmptyTransactions = random.chance(300)
    walStart = random.pick([0x16B_3748, 0xFFFF_F000, 0x7_0000_0028, 0x2A_FFFE_0000])
    nextXid = random.pick([750, 0x1_0000_0000 - 20, 0x3_0000_0000 - 5, 0x5_7FFF_FFF8, 0x9_0000_0100])
    stopsAtTheEnd = random.chance(300)
    let wantsFaults = !random.chance(150)
    let wantsStandby = random.chance(200)
    let count = 1 + random.below(6)
    let shuffled = (0..<count).map { _ in random.pick(Fault.drawn) }
    faultPause = random.pick([400, 1_500, 4_000]) * Time.millisecond
    asynchronousCommit = random.chance(200)
    turnsPerStatus = random.pick([1, 3, 5, 7])
    defer { drawRetypes(seed) }
    defer { drawSecondDeletes(seed, allowed) }
    defer { drawMode(seed) }
    drawMessages(seed)
    drawPartitions(seed)
    guard wantsFaults else {
      checksProgress = true
      return
    }
    faults = Fault.allCases.filter { shuffled.contains($0) && allowed.contains($0) }
    if wantsStandby, allowed.contains(.standby) { instances = 2 }
    var later = Randomness(seed: seed ^ 0x0A3B_057)
    if instances > 1 { factsAge = later.pick([0, 0, 5, 50]) * Time.millisecond }
    if later.chance(150), allowed.contains(.flushAmbush) {
      faults.append(.flushAmbush)
      truncatePerMille = 40
      promptVisibility = 1_000
      plantedRows = 30
      thawsSlowly = true
      leases = later.chance(400)
      if !leases { readers = 0 }
      scanPages = later.pick([3, 8, 20])
    }
    if later.chance(100) { alterPerMille = 20 }
    if later.chance(100), allowed.contains(.republished) { faults.append(.republished) }
    if later.chance(120), allowed.contains(.rulesReplaced) { faults.append(.rulesReplaced) }
  }

  private mutating func drawPartitions(_ seed: UInt64) {
    var random = Randomness(seed: seed ^ 0x9A27)
    partitioned = random.chance(250)
    losslessCrash = random.chance(800)
    losslessFailover = random.chance(500)
  }

  /// In a world where nobody starts later, since a start compares the values anew, and no server forgets the DDL.
  private mutating func drawRetypes(_ seed: UInt64) {
    var random = Randomness(seed: seed ^ 0x7E7E)
    guard !faults.isEmpty, random.chance(80) else { return }
    addRetypes()
  }

  mutating func addRetypes() {
    retypes = true
    alterPerMille = max(alterPerMille, 40)
    instances = 1
    faults.removeAll {
      [.kill, .terminate, .standby, .rulesReplaced, .postgresCrash, .postgresPromoted].contains($0)
    }
  }

  private mutating func drawMessages(_ seed: UInt64) {
    var random = Randomness(seed: seed ^ 0x4E07_E5)
    if random.chance(300) { messagePerMille = random.pick([50, 400]) }
  }

  private mutating func drawMode(_ seed: UInt64) {
    var random = Randomness(seed: seed ^ 0x3A50)
    guard random.chance(250) else { return drawOutbox(seed) }
    mode = .wal2json
    // It asks no publication.
    faults.removeAll { $0 == .republished }
  }

  private mutating func drawOutbox(_ seed: UInt64) {
    var random = Randomness(seed: seed ^ 0x0B0C)
    guard random.chance(250) else { return }
    mode = .notify
    listens = random.chance(700)
    // It has no slot.
    faults.removeAll { $0 == .slotDropped }
  }

  /// Replicas and plain SETs, dealt apart so that the other worlds stay what they were.
  private mutating func drawSecondDeletes(_ seed: UInt64, _ allowed: [Fault]) {
    var random = Randomness(seed: seed ^ 0x5EC0_4D)
    if !faults.isEmpty, random.chance(150), allowed.contains(.evictLease) { faults.append(.evictLease) }
    if !faults.isEmpty, random.chance(80), allowed.contains(.postgresPromoted) {
      faults.append(.postgresPromoted)
    }
    if random.chance(300) { replicas = random.pick([1, 1, 2]) }
    if random.chance(200) {
      redeleteAfter = random.pick([50, 400, 2_000]) * Time.millisecond
      plainReaders = 1 + random.below(2)
    }
    guard hasSecondDeletes else { return }
    // Long enough to wait longer than `retain` for a replica.
    if random.chance(200) { duration += random.pick([10, 20, 35]) * Time.second }
    let count = random.chance(650) ? 1 + random.below(4) : 0
    let drawn = (0..<count).map { _ in random.pick(Fault.ofReplicas) }
    guard replicas > 0 else { return }
    faults += Fault.ofReplicas.filter { drawn.contains($0) && allowed.contains($0) }
    // Without other faults: does an unreachable replica hold back anything else?
    if checksProgress, !faults.isEmpty { duration += 15 * Time.second }
  }
}

/// One seeded world: model servers, readers, writers and cdcd instances in virtual time.
final class World {
  struct Violation: CustomStringConvertible {
    var invariant: String
    var message: String
    var time: Int64
    var description: String { "invariant \(invariant) at \(Double(time) / 1e9) s: \(message)" }
  }

  let seed: UInt64
  let options: WorldOptions
  let scheduler = Scheduler()
  var random: Randomness
  private(set) lazy var postgres = ModelPostgres(
    world: self, walStart: options.walStart, nextXid: options.nextXid)
  private(set) lazy var redis = ModelRedis(world: self)
  private(set) lazy var oracle = Oracle(world: self)
  private(set) lazy var workload = Workload(world: self)
  private(set) var instances: [Instance] = []
  private(set) var readers: [Reader] = []
  private(set) var plainReaders: [PlainReader] = []
  private(set) var replicas: [ModelReplica] = []
  private(set) lazy var faults = FaultInjector(world: self)
  private(set) var violation: Violation?
  var lastSourceFault: Int64 = 0
  /// When something last went wrong that is not a replica.
  var lastFault: Int64 = 0
  var lastReplicaFault: Int64 = 0
  /// Added to the wall clock, which may jump.
  var wallOffset: Int64 = 0
  var peakQueue = 0
  /// What the Engines of this world went through.
  var tally = Tally()
  private var tick: UInt64 = 0
  private var touches: [String: [Commit]] = [:]

  // The trace.
  private let isTracing: Bool
  private let printsTrace: Bool
  private(set) var traceLines: [String] = []

  init(seed: UInt64, options: WorldOptions? = nil, tracing: Bool = false, printing: Bool = false) {
    self.seed = seed
    self.options = options ?? WorldOptions(seed: seed)
    self.random = Randomness(seed: seed)
    self.isTracing = tracing || printing
    self.printsTrace = printing
    _ = (postgres, redis, oracle, workload)
    postgres.asynchronousCommit = self.options.asynchronousCommit
    for index in 0..<self.options.replicas { replicas.append(ModelReplica(world: self, index: index)) }
    for index in 0..<self.options.instances { instances.append(Instance(world: self, index: index)) }
    for index in 0..<self.options.readers { readers.append(Reader(world: self, index: index)) }
    for index in 0..<self.options.plainReaders {
      plainReaders.append(PlainReader(world: self, index: index))
    }
  }

  // MARK: Time

  var now: Int64 { scheduler.now }

  /// The shell's clock does not begin at 0.
  static let clockOffset = 1_000 * Time.second

  /// The clock of the Engine's shell.
  var moment: Moment { Moment(monotonic: now + World.clockOffset, wall: serverClock + wallOffset) }

  /// PostgreSQL's clock: microseconds since 2000.
  var serverClock: Int64 { serverClock(at: now) }
  func serverClock(at time: Int64) -> Int64 { 850_000_000_000_000 + time / 1_000 }

  func after(_ delay: Int64, _ body: @escaping () -> Void) { scheduler.after(delay, body) }

  /// The oracle's own order of everything that matters.
  func nextTick() -> UInt64 {
    tick += 1
    return tick
  }

  /// What the rules file says.
  private(set) var ruleVariant = RuleVariant.all

  /// The file is written anew, and every running instance told so.
  func replaceRules(with variant: RuleVariant) {
    ruleVariant = variant
    for instance in instances { instance.reload() }
  }

  // MARK: What happened

  func fail(_ invariant: String, _ message: String) {
    guard violation == nil else { return }
    violation = Violation(invariant: invariant, message: message, time: now)
    trace { "VIOLATED: \(self.violation.map(\.description) ?? "")" }
  }

  func trace(_ line: () -> String) {
    guard isTracing else { return }
    let stamp = String(now / 1_000)
    let text = String(repeating: " ", count: max(0, 11 - stamp.count)) + stamp + " us  " + line()
    if printsTrace { print(text) }
    traceLines.append(text)
    if traceLines.count > 400 { traceLines.removeFirst(200) }
  }

  /// A snapshot of the database, on a replica or on the primary; nil when the server does not answer.
  func snapshot(on replica: ModelReplica?) -> Snapshot? {
    if let replica {
      return replica.isServing ? Snapshot(tick: nextTick(), replayed: replica.replayed) : nil
    }
    guard postgres.isServing, postgres.frozenUntil <= now else { return nil }
    return Snapshot(tick: nextTick())
  }

  func remember(_ commit: Commit) {
    for key in commit.required + commit.truncated { touches[key, default: []].append(commit) }
  }

  /// The commits that change what `key` stands for.
  func touching(_ key: String) -> [Commit] { touches[key] ?? [] }

  // MARK: Running

  /// Lives from the first start to rest; what was violated, if anything.
  @discardableResult
  func run() -> Violation? {
    defer {
      for instance in instances { instance.kill() }
      scheduler.clear()
    }
    begin()
    advance(to: options.duration)
    quieten()
    faults.end()
    if !rest() { return violation }
    confirmAtRest()
    if options.stopsAtTheEnd { stopInstances() }
    for instance in instances { instance.kill() }
    oracle.checkGaps(tally)
    return violation
  }

  /// Nobody writes or reads any more.
  func quieten() {
    workload.end()
    for reader in readers { reader.end() }
    for reader in plainReaders { reader.end() }
  }

  /// Starts everything without running it: for tests that write their own story.
  func begin() {
    workload.start()
    for (index, instance) in instances.enumerated() {
      after(Int64(index) * 300 * Time.millisecond) { instance.start() }
    }
    for replica in replicas { replica.start() }
    for reader in readers { reader.start() }
    for reader in plainReaders { reader.start() }
    faults.start()
    everySecond()
    save()
  }

  func advance(to time: Int64) {
    while violation == nil, scheduler.step(until: time) {}
  }

  func advance(by duration: Int64) { advance(to: now + duration) }

  /// Whether `condition` came true within `limit`.
  func advance(upTo limit: Int64, until condition: () -> Bool) -> Bool {
    let end = now + limit
    while violation == nil {
      if condition() { return true }
      if now >= end { return false }
      advance(to: min(end, now + 250 * Time.millisecond))
    }
    return false
  }

  /// Somebody asks `/wait`; the answer is due soon, once everything up to there is visible.
  private func demand(_ position: UInt64, of instance: Instance) {
    instance.post(.awaited(LSN(position)), from: nil)
    guard options.checksProgress else { return }
    after(5 * Time.second) { [self] in
      guard violation == nil, now - lastFault > 10 * Time.second, let status = instance.status() else {
        return
      }
      guard now - lastReplicaFault > 10 * Time.second else { return }
      let patience = 3 * Time.second + 2 * options.redeleteAfter
      let isSeen = postgres.commits.allSatisfy { commit in
        commit.endLSN > position || now - (commit.seenTime ?? now) > patience
      }
      if isSeen, replicas.allSatisfy({ $0.replayed >= position }), status.settled.rawValue < position {
        fail("wait", "\(instance.name): \(LSN(position)) is awaited for 5 s: " + describe())
      }
    }
  }

  /// Redis saves its data at any moment, in the middle of a flush too.
  private func save() {
    after(random.between(100 * Time.millisecond, 2 * Time.second)) { [self] in
      redis.remember()
      if !workload.isOver { save() }
    }
  }

  private func everySecond() {
    after(Time.second) { [self] in
      if options.checksProgress { oracle.checkProgress(since: lastFault) }
      if random.chance(200) {
        for instance in instances { demand(postgres.walEnd, of: instance) }
      }
      if !workload.isOver, random.chance(300), postgres.isServing {
        postgres.writeWAL(500)
        postgres.walsender?.wake()
      }
      everySecond()
    }
  }

  /// Invariants 5, 6 and 7 once nothing goes wrong any more; false when rest never comes.
  func rest() -> Bool {
    let ready = advance(upTo: 300 * Time.second) { isAtRest }
    if violation == nil, !ready { fail("6", "no rest after 300 s: " + describe()) }
    advance(by: 2 * Time.second)
    if violation == nil { oracle.checkAtRest() }
    for history in instances.compactMap(\.history) where violation == nil { oracle.checkHistory(history) }
    return violation == nil
  }

  private var isAtRest: Bool {
    // A frozen server may look at rest, since nobody has noticed yet.
    // What was left out is not even known before the next look.
    guard postgres.publication.isWhole, !postgres.hasBareTable else { return false }
    if let mended = postgres.publication.mendedAt, now < mended + 65 * Time.second { return false }
    guard postgres.isServing, postgres.frozenUntil <= now, redis.isServing, postgres.inProgress.isEmpty,
      readers.allSatisfy(\.isIdle), plainReaders.allSatisfy(\.isIdle),
      replicas.allSatisfy({ $0.isServing && $0.replayed >= postgres.walEnd })
    else { return false }
    return instances.contains { instance in
      guard let status = instance.status() else { return false }
      return status.notReady.isEmpty && status.openFlushes.isEmpty && !status.isInDoubt
        && instance.replicas.isInformed
        && status.seen.rawValue >= postgres.walEnd - (options.mode == .notify ? 1 : 0)
        && instance.redis.judgedLineage == redis.lineage
    }
  }

  /// An idle server does not keep WAL: the confirmed position follows `retain` behind.
  private func confirmAtRest() {
    guard options.retain <= 10 * Time.second else { return }
    let end = postgres.walEnd
    let confirmed = advance(upTo: options.retain + 30 * Time.second) {
      options.mode == .notify ? postgres.outbox.entries.isEmpty : (postgres.slot?.confirmed ?? 0) >= end
    }
    if violation == nil, !confirmed {
      fail(
        "4", "at rest the slot stays at \(LSN(postgres.slot?.confirmed ?? 0)), the WAL ends at \(LSN(end))")
    }
  }

  private func stopInstances() {
    faults.leavesStopped = true
    for instance in instances { instance.stop() }
    let stopped = advance(upTo: 30 * Time.second) { instances.allSatisfy { !$0.isRunning } }
    if violation == nil, !stopped { fail("stop", "not finished 30 s after SIGTERM: " + describe()) }
  }

  func describe() -> String {
    var text = "WAL ends at \(LSN(postgres.walEnd)), slot at \(LSN(postgres.slot?.confirmed ?? 0))"
    if !postgres.inProgress.isEmpty { text += ", in progress \(postgres.inProgress)" }
    for instance in instances {
      guard let status = instance.status() else {
        text += "; \(instance.name) is not running"
        continue
      }
      text += "; \(instance.name): received \(status.received) applied \(status.applied) settled"
      text += " \(status.settled) confirmed \(status.confirmed), not ready: "
      text += status.notReady.map { $0.check + ": " + $0.message }.joined(separator: ", ")
      text += ", flushes: " + status.openFlushes.map { "\($0.rule) \($0.phase)" }.joined(separator: ", ")
    }
    return text
  }
}
