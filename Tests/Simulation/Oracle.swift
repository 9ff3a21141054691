import Invalidation

/// Judges every step by the invariants of contract 6, from what the model servers did and hold. It shares
/// no code with the Engine: keys come from `KeyMapping`, visibility from the model's proc array.
final class Oracle {
  unowned let world: World
  private var redis: ModelRedis { world.redis }
  private var postgres: ModelPostgres { world.postgres }

  /// Visible, with a required key whose delete has not run on the current Redis lineage.
  private var outstanding: [Commit] = []
  /// For each key the youngest visible commit that a ready Engine has declared settled.
  private var floors: [String: UInt64] = [:]
  /// Commits below this index are in `floors`.
  private var floorCount = 0
  private var deletesAreNew = false
  private(set) var watermarkKey: String?
  private(set) var notices: [String: Int] = [:]

  // Over-invalidation.
  private var deleteCount: [String: Int] = [:]
  private var dueCount: [String: Int] = [:]
  private var scanCredit: [String: Int] = [:]
  private(set) var executedDeletes = 0
  private(set) var neededDeletes = 0
  private(set) var invalidationsLate = 0

  init(world: World) { self.world = world }

  // MARK: What PostgreSQL did

  func committed(_ commit: Commit) {
    for change in commit.changes {
      if change.isLeftOut {
        commit.leftOut += KeyMapping.keys(of: change).required
        continue
      }
      commit.required += KeyMapping.keys(of: change).required
      for (table, row) in change.truncated {
        commit.truncated += KeyMapping.truncatedKeys(table, row)
        // DDL concerns every rule of its table, whatever operations it listens to.
        if change.kind == .alter, table == .users { commit.truncated += ["name:\(row.id)", "vip:\(row.id)"] }
      }
    }
    if commit.required.isEmpty { commit.settledTime = world.now }
  }

  func becameVisible(_ commit: Commit) {
    guard !commit.required.isEmpty else { return }
    outstanding.append(commit)
    for change in commit.changes {
      let keys = KeyMapping.keys(of: change)
      for key in keys.required + keys.allowed { dueCount[key, default: 0] += 1 }
      neededDeletes += keys.required.count
    }
    reviewOutstanding()
  }

  func sourceConnected(_ connection: SourceConnection) {}

  func walsenderTimedOut(_ client: SourceConnection) {
    let instance = client.instance
    let quiet = world.now - max(instance.disturbed, world.lastSourceFault)
    guard instance.isRunning, instance.frozenUntil <= world.now, quiet > 11 * Time.second,
      client.state == .streaming
    else { return }
    world.fail("9", "\(instance.name): the server dropped it for sending no feedback in 10 s")
  }

  func serverStopped(after duration: Int64) {
    guard world.options.shutdownLimit > 0, duration > world.options.shutdownLimit else { return }
    world.fail("3", "the fast shutdown was held up for \(duration / Time.millisecond) ms")
  }

  // MARK: What Redis did

  func watermarkWritten(_ key: String) { watermarkKey = key }

  func scanReturned(_ key: String) { scanCredit[KeyMapping.leased(key) ?? key, default: 0] += 1 }

  func deleted(_ key: String, by connection: RedisConnection) {
    guard KeyMapping.leased(key) == nil else { return }
    guard KeyMapping.isDerivable(key) else {
      return world.fail("10", "\(connection.owner) deletes \(key), which no rule derives")
    }
    executedDeletes += 1
    deletesAreNew = true
    deleteCount[key, default: 0] += 1
    guard world.options.isFaultless, world.options.mutation == nil || world.options.mutation == .snapshotLies
    else { return }
    let due = dueCount[key, default: 0] + scanCredit[key, default: 0]
    if deleteCount[key, default: 0] > due {
      world.fail("2", "\(key) is deleted \(deleteCount[key, default: 0]) times, \(due) visible reasons")
    }
  }

  /// After every command of a batch that arrived.
  func deletesRan() {
    guard deletesAreNew else { return }
    deletesAreNew = false
    reviewOutstanding()
  }

  /// Contract 2: what a reader put into the cache must hold everything that was invalidated before.
  func filled(_ key: String, _ snapshot: UInt64) {
    if let deleted = redis.data.deletedAt[key] {
      for commit in world.touching(key) {
        guard let visible = commit.visibleTick, visible < deleted, visible > snapshot else { continue }
        world.fail(
          "3",
          "\(key) was filled from snapshot \(snapshot), its lease granted before the delete at"
            + " \(deleted) for xid \(commit.xid), visible at \(visible)")
      }
    }
    if let floor = floors[key], floor > snapshot {
      world.fail(
        "1", "\(key) was filled from snapshot \(snapshot), settled is the commit visible at \(floor)")
    }
  }

  func lineageBroke() {
    floors = [:]
    floorCount = 0
    outstanding = []
    for commit in postgres.commits where !commit.required.isEmpty && commit.visibleTick != nil {
      commit.coveredPrefix = 0
      if isCovered(commit) { continue }
      if let time = commit.settledTime {
        commit.settledBeforeBreak = min(commit.settledBeforeBreak ?? time, time)
      }
      commit.settledTime = nil
      outstanding.append(commit)
    }
  }

  // MARK: Coverage

  private func reviewOutstanding() {
    outstanding.removeAll { commit in
      guard isCovered(commit) else { return false }
      if commit.settledTime == nil { commit.settledTime = world.now }
      return true
    }
  }

  /// Whether every required key of a visible commit was deleted after it became visible, on this lineage.
  private func isCovered(_ commit: Commit) -> Bool {
    guard let visible = commit.visibleTick else { return false }
    while commit.coveredPrefix < commit.required.count {
      guard isCovered(commit.required[commit.coveredPrefix], since: visible, commit) else { return false }
      commit.coveredPrefix += 1
    }
    return true
  }

  private func isCovered(_ key: String, since visible: UInt64, _ commit: Commit) -> Bool {
    let data = redis.data
    if let deleted = data.deletedAt[key], deleted > visible { return true }
    if data.emptiedAt > visible { return true }
    guard isClean(key, visible), !data.passes.isEmpty else { return false }
    let bytes = Array(key.utf8)
    guard data.passes.contains(where: { $0.begun > visible && Glob.matches($0.pattern, bytes) }) else {
      return false
    }
    commit.settledByFlush = true
    return true
  }

  /// No stale value is cached, and no lease is out that could bring one.
  private func isClean(_ key: String, _ visible: UInt64) -> Bool {
    if let snapshot = redis.data.cached(key), snapshot < visible { return false }
    if let lease = redis.data.lease(key, now: world.now), lease.granted < visible { return false }
    return true
  }

  // MARK: What an instance says

  /// Invariant 4, and what a standby status update may say at all.
  func feedback(_ feedback: Feedback, on connection: SourceConnection) {
    let confirmed = feedback.confirmed.rawValue
    let name = connection.instance.name
    if feedback.received.rawValue > connection.arrived, !Seeds.isMasked("received") {
      world.fail(
        "effect", "\(name): feedback claims \(feedback.received), sent was \(LSN(connection.arrived))")
    }
    let reported = max(feedback.received.rawValue, connection.startedAt)
    if confirmed > reported, !Seeds.isMasked("received") {
      world.fail("effect", "\(name): confirms \(feedback.confirmed) beyond what it received")
    }
    guard let slot = postgres.slot, postgres.walsender?.client === connection else { return }
    if confirmed != 0, confirmed < slot.confirmed {
      if let last = connection.lastFeedback, confirmed < last.confirmed.rawValue {
        world.fail(
          "4", "\(name): confirmed position goes back from \(last.confirmed) to \(feedback.confirmed)")
      }
      return
    }
    guard confirmed > slot.confirmed, connection.lastFeedback?.confirmed != feedback.confirmed else { return }
    let horizon = world.now - world.options.retain
    if confirmed > postgres.walEnd(at: horizon) {
      world.fail("4", "\(name): confirms \(feedback.confirmed), WAL that is younger than `retain`")
    }
    for commit in postgres.commits.reversed() {
      guard commit.endLSN > slot.confirmed else { break }
      if commit.endLSN <= confirmed { checkConfirmed(commit, connection.instance, horizon) }
    }
  }

  private func checkConfirmed(_ commit: Commit, _ instance: Instance, _ horizon: Int64) {
    guard !commit.required.isEmpty, !commit.settledByFlush else { return }
    var settled = commit.settledTime
    // An Engine that has not met the new history yet goes by the old one.
    if instance.redis.judgedLineage != redis.lineage, let before = commit.settledBeforeBreak {
      settled = min(settled ?? before, before)
    }
    guard let settled else {
      // Covered by a whole SCAN pass or an emptied server, which no delete command announced.
      if isCovered(commit) {
        commit.settledByFlush = true
        return
      }
      if instance.status()?.openFlushes.isEmpty == false {
        commit.settledByFlush = true
        return
      }
      return world.fail(
        "4",
        "\(instance.name): confirms xid \(commit.xid) at \(LSN(commit.endLSN)), not settled: "
          + describe(commit))
    }
    if settled > horizon {
      world.fail(
        "4",
        "\(instance.name): confirms xid \(commit.xid), settled only"
          + " \((world.now - settled) / Time.millisecond) ms ago")
    }
  }

  /// After every turn of an instance's loop: invariants 1 and 7, and the limits on memory.
  func observe(_ instance: Instance, _ status: EngineStatus) {
    let unacknowledged = status.targets.map(\.unacknowledgedBytes).max() ?? 0
    if max(status.queueBytes, unacknowledged) > 32 << 20 {
      world.fail(
        "memory", "\(instance.name): queue \(status.queueBytes), unacknowledged \(unacknowledged) bytes")
    }
    world.peakQueue = max(world.peakQueue, status.queueBytes + unacknowledged)
    guard promises(status), instance.redis.judgedLineage == redis.lineage else { return }
    raiseFloors(to: status.settled.rawValue, instance)
  }

  /// Whether the status leaves no doubt about what is in Redis.
  private func promises(_ status: EngineStatus) -> Bool {
    status.openFlushes.isEmpty
      && !status.notReady.contains { ["redis", "watermark", "gap", "rules"].contains($0.check) }
  }

  private func raiseFloors(to settled: UInt64, _ instance: Instance) {
    let commits = postgres.commits
    while floorCount < commits.count, commits[floorCount].endLSN <= settled {
      let commit = commits[floorCount]
      floorCount += 1
      let keys = commit.required + commit.truncated
      guard !keys.isEmpty else { continue }
      guard let visible = commit.visibleTick else {
        return world.fail("2", "\(instance.name): settled covers xid \(commit.xid), which nobody can see yet")
      }
      for key in keys {
        floors[key] = max(floors[key] ?? 0, visible)
        if !isClean(key, visible) {
          return world.fail(
            "1",
            "\(instance.name): settled \(LSN(settled)) covers xid \(commit.xid) at \(LSN(commit.endLSN)),"
              + " but \(key) is stale: \(describe(key)), commit visible at \(visible)")
        }
      }
    }
  }

  func exited(_ instance: Instance) {}

  func notice(_ notice: Notice) {
    notices[notice.cause, default: 0] += 1
    world.trace { "notice \(notice.severity) \(notice.cause): \(notice.message)" }
  }

  // MARK: From time to time, and at the end

  /// Invariant 9: in a world without trouble a visible commit's keys go within seconds, whatever is stuck.
  func checkProgress(since calm: Int64) {
    guard world.now - calm > 10 * Time.second else { return }
    guard postgres.walsender != nil else { return }
    // Commits before a new slot's position are never streamed: the flush is for them.
    for commit in outstanding where commit.commitLSN >= postgres.slotStart {
      guard let visible = commit.visibleTime, world.now - max(visible, calm) > 8 * Time.second else {
        continue
      }
      return world.fail("9", "xid \(commit.xid) is visible for 8 s, but: " + describe(commit))
    }
  }

  /// Invariants 5 and 6.
  func checkAtRest() {
    for commit in postgres.commits {
      guard let visible = commit.visibleTick else { continue }
      for key in commit.required + commit.truncated + commit.leftOut where !isClean(key, visible) {
        return world.fail(
          "6",
          "at rest \(key) is stale: \(describe(key)), but xid \(commit.xid) at \(LSN(commit.endLSN))"
            + " became visible at \(visible)")
      }
    }
    guard world.options.isFaultless, world.options.mutation == nil else { return }
    let credit = scanCredit.values.reduce(0, +)
    if executedDeletes > neededDeletes * 3 / 2 + credit + 5 {
      world.fail("10", "\(executedDeletes) deletes where \(neededDeletes) were needed")
    }
  }

  /// A gap that is none flushes a whole cache for nothing.
  func checkGaps(_ tally: Tally) {
    guard world.violation == nil else { return }
    for gap in ["malformed_message", "incomplete_row", "publication_changed", "rules_changed"]
    where !(gap == "publication_changed" && world.options.faults.contains(.republished))
      && tally.count("gap " + gap) > 0
    {
      world.fail("10", "a gap \(gap) that nothing in this world explains")
    }
    let forgetful: [Fault] = [
      .redisRestore, .redisSwap, .redisEmpty, .flushAll, .evictWatermark, .evictKey, .slotDropped,
      .postgresCrash,
    ]
    guard !world.options.isStory, !world.options.faults.contains(where: forgetful.contains) else { return }
    let killed: UInt64 = world.options.faults.contains { $0 == .kill || $0 == .terminate } ? 20 : 0
    for gap in GapReason.allCases {
      switch gap {
      case .newSlot, .truncate, .flushInterrupted, .publicationChanged: continue
      case .tableChanged where world.options.alterPerMille > 0: continue
      // The first judgement may have to be made again before the first watermark.
      case .watermarkMissing where tally.count("gap watermark_missing") < 3 + killed: continue
      default: break
      }
      if tally.count("gap " + gap.rawValue) > 0 {
        world.fail("10", "a gap \(gap.rawValue) although no server forgot anything")
      }
    }
  }

  private func describe(_ key: String) -> String {
    var text = "value " + (redis.data.cached(key).map { "of snapshot \($0)" } ?? "absent")
    if let lease = redis.data.lease(key, now: world.now) { text += ", lease granted at \(lease.granted)" }
    if let deleted = redis.data.deletedAt[key] { text += ", last deleted at \(deleted)" }
    return text
  }

  private func describe(_ commit: Commit) -> String {
    guard let visible = commit.visibleTick else { return "it is not visible" }
    let missing = commit.required.first { !isCovered($0, since: visible, commit) }
    return missing.map { "\($0) was not deleted since \(visible): " + describe($0) } ?? "nothing is missing"
  }
}
