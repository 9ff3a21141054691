import Invalidation

/// A committed transaction as the world and the oracle know it.
final class Commit {
  let index: Int
  let xid: UInt64
  let firstLSN: UInt64
  let commitLSN: UInt64
  let endLSN: UInt64
  let time: Int64
  let changes: [Change]
  /// When snapshots began to see it, in the oracle's ticks; nil while only the WAL knows it.
  var visibleTick: UInt64?
  var visibleTime: Int64?
  /// The same for every server that readers use: the primary and all replicas.
  var seenTick: UInt64?
  var seenTime: Int64?
  /// A watermark from here on claims it; nil while none can.
  var claimedFrom: UInt64?
  // What follows belongs to the oracle.
  var required: [String] = []
  /// What the publication left out, so that nothing but a flush can cover it.
  var leftOut: [String] = []
  var truncated: [String] = []
  /// How far its first deletes are, and the second ones.
  var first = Coverage()
  var second = Coverage()
  /// A watermark covered it while a flush was open that was to delete its keys.
  var isHandedOver = false

  /// How far a commit's keys are deleted, on the current Redis lineage.
  struct Coverage {
    /// `required` below this index is known to be covered.
    var prefix = 0
    /// When all were.
    var time: Int64?
    /// The earliest such time on the lineages before.
    var timeBeforeBreak: Int64?
    /// A flush did it, or is to.
    var isByFlush = false
  }

  init(
    index: Int, xid: UInt64, firstLSN: UInt64, commitLSN: UInt64, endLSN: UInt64, time: Int64,
    changes: [Change]
  ) {
    self.index = index
    self.xid = xid
    self.firstLSN = firstLSN
    self.commitLSN = commitLSN
    self.endLSN = endLSN
    self.time = time
    self.changes = changes
  }
}

/// PostgreSQL as its clients see it: WAL, transactions, snapshots, one slot, and coming and going.
final class ModelPostgres {
  enum Availability { case up, shuttingDown, down }

  struct Slot {
    var confirmed: UInt64
    /// Kept in step on a standby that was then promoted.
    var isSynchronized = false
  }

  unowned let world: World
  var availability = Availability.up
  var frozenUntil: Int64 = 0
  var unreachableUntil: Int64 = 0
  let systemIdentifier = "7301"
  var timeline: UInt32 = 1
  /// The file that TIMELINE_HISTORY sends.
  private var history = ""
  /// Failovers that lost a commit: who read in these ticks, to the last one, has seen it.
  private var losses: [ClosedRange<UInt64>] = []
  /// When a standby took over last.
  private(set) var promotedAt: Int64 = 0
  var crashMarker = 1
  var asynchronousCommit = false
  var publication = ModelPublication()
  /// A partition of the users, those with even ids, has not inherited REPLICA IDENTITY FULL.
  var hasBareTable = false
  /// Server processes started before the last stop do nothing more.
  private(set) var incarnation = 0

  private(set) var walEnd: UInt64
  /// The WAL's end over time, for the retention horizon.
  private(set) var walHistory: [(time: Int64, end: UInt64)] = []
  private(set) var commits: [Commit] = []
  private var nextXid: UInt64
  private var latestCompleted: UInt64
  /// Transactions that snapshots list as in progress, oldest first: running, or ended but still in the
  /// proc array.
  private(set) var inProgress: [UInt64] = []
  /// Those of them whose commit or abort record is not in the WAL.
  private(set) var running: [UInt64] = []
  private var begun: [UInt64: Int64] = [:]
  private var lastLongEnd: Int64 = 0

  private(set) lazy var outbox = ModelOutbox(world: world)
  var slot: Slot?
  /// Where the present slot began.
  private(set) var slotStart: UInt64 = 0
  var walsender: Walsender?

  init(world: World, walStart: UInt64, nextXid: UInt64) {
    self.world = world
    self.walEnd = walStart
    self.nextXid = nextXid
    self.latestCompleted = nextXid - 1
  }

  var isServing: Bool { availability == .up }

  /// Who has the slot, or the outbox.
  var reader: SourceConnection? { walsender?.client ?? outbox.holder }

  // MARK: WAL and transactions

  /// Writes `bytes` of WAL; returns where the record begins.
  @discardableResult
  func writeWAL(_ bytes: Int64) -> UInt64 {
    let start = walEnd
    walEnd += UInt64(bytes)
    // No record ends in a page's header.
    let offset = walEnd % 8_192
    if 1...24 ~= offset { walEnd += 32 - offset }
    walHistory.append((world.now, walEnd))
    return start
  }

  /// The WAL's end as it was at `time`.
  func walEnd(at time: Int64) -> UInt64 {
    var low = 0
    var high = walHistory.count
    while low < high {
      let middle = (low + high) / 2
      if walHistory[middle].time <= time { low = middle + 1 } else { high = middle }
    }
    return low == 0 ? 0 : walHistory[low - 1].end
  }

  func assignXid() -> UInt64 {
    let xid = nextXid
    burnXid()
    inProgress.append(xid)
    running.append(xid)
    begun[xid] = world.now
    return xid
  }

  /// When a transaction of more than a second was last in progress: a flush waits for it.
  var lastLongTransaction: Int64 {
    inProgress.contains { world.now - (begun[$0] ?? 0) > Time.second } ? world.now : lastLongEnd
  }

  /// A subtransaction's xid: never printed by `pg_current_snapshot()`, never streamed.
  func burnXid() {
    repeat { nextXid += 1 } while UInt32(truncatingIfNeeded: nextXid) < 3
  }

  /// So many transactions pass that touch nothing here.
  func burnXids(_ count: UInt64) {
    nextXid += count
    while UInt32(truncatingIfNeeded: nextXid) < 3 { nextXid += 1 }
    latestCompleted = nextXid - 1
  }

  /// The commit record enters the WAL; snapshots do not see it before `leaveProcArray`.
  func writeCommit(xid: UInt64, firstLSN: UInt64, changes: [Change]) -> Commit {
    let commitLSN = writeWAL(48)
    let changes = changes.map { change in
      var change = change
      change.isLeftOut =
        ![.truncate, .alter, .message].contains(change.kind) && change.table.isPublished
        && !publication.carries(change.table)
      if let old = change.old, change.table == .users, old.id % 2 == 0, world.options.mode != .notify {
        change.isBare = hasBareTable
      }
      return change
    }
    let commit = Commit(
      index: commits.count, xid: xid, firstLSN: firstLSN, commitLSN: commitLSN, endLSN: walEnd,
      time: world.now, changes: changes)
    if world.options.mode == .notify {
      outbox.tell(commit)
    } else {
      commit.claimedFrom = commit.endLSN
    }
    commits.append(commit)
    running.removeAll { $0 == xid }
    world.oracle.committed(commit)
    walsender?.wake()
    return commit
  }

  func writeAbort(xid: UInt64) {
    writeWAL(32)
    running.removeAll { $0 == xid }
    walsender?.wake()
  }

  /// The transaction, committed or aborted, leaves the proc array: from here on snapshots see its end.
  func leaveProcArray(xid: UInt64) {
    guard inProgress.contains(xid) else { return }
    inProgress.removeAll { $0 == xid }
    if let time = begun.removeValue(forKey: xid), world.now - time > Time.second { lastLongEnd = world.now }
    latestCompleted = max(latestCompleted, xid)
    guard let commit = commits.last(where: { $0.xid == xid }) else { return }
    commit.visibleTick = world.nextTick()
    commit.visibleTime = world.now
    // Whoever asks for the WAL's end when its commit has returned waits for this, or more.
    if world.options.mode == .notify { commit.claimedFrom = walEnd }
    world.trace { "postgres: xid \(xid) visible" }
    world.oracle.becameVisible(commit)
    noticeSeen(commit)
    outbox.holder?.notify()
  }

  /// A server began to show it: perhaps the last one.
  func noticeSeen(_ commit: Commit) {
    guard commit.visibleTick != nil, commit.seenTick == nil,
      world.replicas.allSatisfy({ $0.shown > commit.index })
    else { return }
    commit.seenTick = world.replicas.isEmpty ? commit.visibleTick : world.nextTick()
    commit.seenTime = world.now
    world.oracle.becameSeen(commit)
  }

  func snapshot() -> TransactionSnapshot {
    if world.options.mutation == .snapshotLies {
      let xmax = max(latestCompleted, commits.last?.xid ?? 0) + 1
      return TransactionSnapshot(xmin: xmax, xmax: xmax, inProgress: running.filter { $0 < xmax })
    }
    let xmax = latestCompleted + 1
    let listed = inProgress.filter { $0 < xmax }
    return TransactionSnapshot(xmin: listed.min() ?? xmax, xmax: xmax, inProgress: listed)
  }

  /// `SELECT pg_current_xact_id()` in autocommit: assigns, answers, and is over.
  func currentTransaction() -> UInt64 {
    let xid = nextXid
    burnXid()
    latestCompleted = max(latestCompleted, xid)
    return xid
  }

  /// Without `max_slot_wal_keep_size`; what is confirmed keeps no WAL here.
  func retention() -> ServerRetention? {
    if world.options.mode == .notify { return .outbox(rows: UInt64(outbox.entries.count)) }
    return slot.map {
      .slot(RetainedWAL(bytes: walEnd - min(walEnd, $0.confirmed), safeBytes: nil, status: .reserved))
    }
  }

  var facts: SourceFacts {
    let sees = world.options.mutation != .blindLook
    return SourceFacts(
      systemIdentifier: systemIdentifier, timeline: timeline, crashMarker: "crash-\(crashMarker)",
      flushLSN: LSN(walEnd), insertLSN: LSN(walEnd),
      confirmedFlush: LSN(world.options.mode == .notify ? outbox.removedTo : slot?.confirmed ?? 0),
      slotCreated: false, asynchronousCommit: asynchronousCommit,
      publication: publication.identities(seen: sees),
      unpublished: publication.unpublished(seen: sees),
      snapshot: snapshot(),
      partitioned: world.options.partitioned && world.options.mutation != .noPartitions ? [Schema.users] : [],
      bareTables: hasBareTable && sees && world.options.mode != .notify
        ? Schema.bareTables(Schema.rules(.all, of: world.options)) : [:],
      history: TimelineHistory(history) ?? TimelineHistory(),
      isSlotSynchronized: slot?.isSynchronized ?? false)
  }

  /// How often the catalogue's readers have seen the type of the users' `vip` change.
  var visibleRetypes: Int {
    commits.count { $0.visibleTick != nil && $0.changes.contains(where: \.isRetype) }
  }

  /// What the catalogue says of a table. Each partition is made by the first transaction
  /// that writes to it, and nobody sees it before that transaction is visible.
  func lineage(of reference: TableReference) -> TableLineage? {
    guard let table = StreamedTable.of(reference) else { return nil }
    let own = TableName(schema: "public", name: table.name)
    guard let partition = table.partition else { return TableLineage(names: [own], isPublished: true) }
    let isThere = commits.contains { commit in
      commit.visibleTick != nil && commit.changes.contains { $0.touches(partition) }
    }
    return isThere ? TableLineage(names: [own, Schema.users], isPublished: true) : nil
  }

  /// The xid from which on every running transaction is younger; a new slot waits until all older ended.
  var oldestRunning: UInt64 { running.min() ?? nextXid }
  var upcomingXid: UInt64 { nextXid }

  func createSlot() {
    // A running-xacts record marks the consistent point.
    writeWAL(64)
    slot = Slot(confirmed: walEnd)
    slotStart = walEnd
    world.trace { "postgres: slot created at \(LSN(self.walEnd))" }
  }

  /// `pg_drop_replication_slot` by hand, its user terminated first.
  func dropSlot() {
    walsender?.end(.unavailable, "terminating connection due to administrator command")
    slot = nil
    world.trace { "postgres: slot dropped" }
  }

  // MARK: Coming and going

  /// `pg_ctl stop -m fast`: backends go at once, the walsender stays until its client has confirmed all.
  func fastShutdown() {
    guard availability == .up else { return }
    world.trace { "postgres: fast shutdown begins" }
    availability = .shuttingDown
    abandonTransactions()
    for instance in world.instances { instance.source.queryBroke(.shuttingDown, "terminating connection") }
    outbox.holder?.replicationBroke(.shuttingDown, "terminating connection")
    shutdownStarted = world.now
    if let walsender { walsender.wake() } else { stopped() }
  }

  private(set) var shutdownStarted: Int64 = 0

  /// Called when no walsender is left during a fast shutdown.
  func walsenderGone() {
    walsender = nil
    if availability == .shuttingDown { stopped() }
  }

  private func stopped() {
    writeWAL(120)
    world.oracle.serverStopped(after: world.now - shutdownStarted)
    world.trace { "postgres: stopped" }
    goDown()
  }

  /// An immediate stop or a crash: everything flushed survives, everything running is aborted.
  func crash() {
    guard availability != .down else { return }
    world.trace { "postgres: crash" }
    crashMarker += 1
    abandonTransactions()
    outbox.crash { self.world.random.chance($0) }
    goDown()
    walsender?.end(.unavailable, "server closed the connection unexpectedly")
    walsender = nil
  }

  /// What starts next is a standby that was promoted. Besides what the WAL holds, another transaction had committed on the
  /// old primary and was visible to those who read in the last so many ticks: it is lost, and was never streamed.
  func promote(keepingSlot keepsSlot: Bool, losing ticks: UInt64) {
    guard availability == .down else { return }
    history += "\(timeline)\t\(LSN(walEnd))\tno recovery target specified\n"
    timeline += 1
    promotedAt = world.now
    // The standby's slot may be behind.
    slot =
      keepsSlot ? slot.map { Slot(confirmed: max(slotStart, $0.confirmed - 100), isSynchronized: true) } : nil
    let tick = world.nextTick()
    if ticks > 0 { losses.append(tick - min(ticks, tick)...tick) }
    world.trace {
      "postgres: timeline \(self.timeline)" + (keepsSlot ? "" : ", without the slot")
        + (ticks > 0 ? ", what was read in the last \(ticks) ticks is lost" : "")
    }
  }

  /// Whether the snapshot saw a commit that a failover has lost since.
  func hasLost(_ snapshot: Snapshot) -> Bool {
    snapshot.replayed == nil && losses.contains { $0.contains(snapshot.tick) }
  }

  private func goDown() {
    availability = .down
    outbox.holder = nil
    incarnation += 1
    for instance in world.instances { instance.source.serverGone() }
  }

  func start() {
    guard availability == .down else { return }
    writeWAL(200)
    availability = .up
    world.trace { "postgres: up, WAL ends at \(LSN(self.walEnd))" }
  }

  /// Running transactions abort; those that wait for a standby with their commit record written end at once.
  private func abandonTransactions() {
    for xid in running { world.workload.forget(xid) }
    running = []
    for xid in inProgress { leaveProcArray(xid: xid) }
    world.workload.releaseAllLocks()
  }
}
