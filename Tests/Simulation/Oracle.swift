import Invalidation

/// Judges every step by the invariants of contract 6, from what the model servers did and hold. It shares
/// no code with the Engine: keys come from `KeyMapping`, visibility from the model's proc array.
final class Oracle {
  unowned let world: World
  var redis: ModelRedis { world.redis }
  private var postgres: ModelPostgres { world.postgres }

  /// Visible, with a required key whose delete has not run on the current Redis lineage.
  var outstanding: [Commit] = []
  /// The same for second deletes, in worlds that have them, once every server shows the commit.
  var unsettled: [Commit] = []
  /// What was promised to readers of the primary: that the first deletes are done.
  private var firstPromise = Promise(audience: .primary)
  /// What was promised to all: settled.
  private var promise = Promise(audience: .everybody)
  /// Commits below this index were settled, or handed over to a flush that was open.
  private var handedCount = 0
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
  /// By the low 32 bits of the transaction's id.
  var committedKeys: [UInt32: CommittedKeys] = [:]

  init(world: World) { self.world = world }

  // MARK: What PostgreSQL did

  func committed(_ commit: Commit) {
    remember(commit)
    for change in commit.changes {
      if change.isLeftOut || change.isBare {
        commit.leftOut += KeyMapping.keys(of: change).required
        continue
      }
      let keys = KeyMapping.keys(of: change).required
      commit.required += keys.filter { !mayBeMissed($0) }
      commit.leftOut += keys.filter(mayBeMissed)
      for (table, row) in change.truncated {
        commit.truncated += KeyMapping.truncatedKeys(table, row)
        // DDL concerns every rule of its table, whatever operations it listens to.
        if change.kind == .alter, table == .users {
          commit.truncated += ["name", "vip", "regular", "guest", "edit"].map { "\($0):\(row.id)" }
        }
      }
    }
    commit.leftOut += commit.truncated.filter(mayBeMissed)
    commit.truncated.removeAll(where: mayBeMissed)
    guard commit.required.isEmpty else { return }
    commit.first.time = world.now
    commit.second.time = world.now
  }

  /// Its rule is not always in force: what a flush owes it is judged at rest.
  private func mayBeMissed(_ key: String) -> Bool {
    world.options.faults.contains(.rulesReplaced) && RuleVariant.mayMiss(key)
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

  /// Every server that readers use shows it now.
  func becameSeen(_ commit: Commit) {
    guard world.options.hasSecondDeletes, !commit.required.isEmpty else { return }
    unsettled.append(commit)
    for change in commit.changes {
      let keys = KeyMapping.keys(of: change)
      for key in keys.required + keys.allowed where isDeletedTwice(key) {
        dueCount[key, default: 0] += 1
        neededDeletes += 1
      }
    }
    reviewUnsettled()
  }

  private func isDeletedTwice(_ key: String) -> Bool {
    !world.replicas.isEmpty || KeyMapping.redeleteDelay(of: key, world.options.redeleteAfter) > 0
  }

  /// A replica recovered from a crash and does not show these commits any more. Nobody can promise anything before it
  /// was noticed.
  func wentBack(_ commits: ArraySlice<Commit>) {
    for commit in commits {
      commit.seenTick = nil
      commit.seenTime = nil
      // The flush for the crash is to cover it.
      commit.second.isByFlush = true
    }
    unsettled.removeAll { $0.seenTick == nil }
    promise.withdraw()
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

  func watermarkWritten(_ key: String, _ text: [UInt8]) {
    watermarkKey = key
    // Keys of a rule that changes are its flush's.
    let mayHandOver =
      world.options.hasSecondDeletes || world.options.partitioned
      || world.options.faults.contains(.rulesReplaced)
    guard mayHandOver, text.last != UInt8(ascii: "-"), let watermark = Watermark(text)
    else {
      return
    }
    noteFlush(watermark.settled.rawValue)
  }

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
    reviewUnsettled()
  }

  /// Contract 2: what a reader put into the cache must hold everything that was invalidated before.
  func filled(_ key: String, _ snapshot: Snapshot) {
    if snapshot.fill == .leased, let deleted = redis.data.deletedAt[key] {
      for commit in world.touching(key) where !snapshot.includes(commit) {
        let seen = snapshot.replayed == nil ? commit.visibleTick : commit.seenTick
        guard let seen, seen < deleted else { continue }
        world.fail(
          "3",
          "\(key) was filled from \(snapshot), its lease granted before the delete at \(deleted) for xid"
            + " \(commit.xid), seen by all such readers since \(seen)")
      }
    }
    for promise in [firstPromise, promise] {
      guard let problem = promise.violation(by: snapshot, key) else { continue }
      world.fail("1", problem)
    }
  }

  func lineageBroke() {
    firstPromise.withdraw()
    promise.withdraw()
    outstanding = []
    unsettled = []
    handedCount = 0
    for commit in postgres.commits where !commit.required.isEmpty && commit.visibleTick != nil {
      if isLost(commit, for: .primary) { outstanding.append(commit) }
      if !world.options.hasSecondDeletes {
        commit.second = commit.first
      } else if commit.seenTick != nil, isLost(commit, for: .everybody) {
        unsettled.append(commit)
      }
    }
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
    guard !commit.required.isEmpty, !commit.second.isByFlush, !commit.isHandedOver else { return }
    var settled = commit.second.time
    // An Engine that has not met the new history yet goes by the old one.
    if instance.redis.judgedLineage != redis.lineage, let before = commit.second.timeBeforeBreak {
      settled = min(settled ?? before, before)
    }
    guard let settled else {
      // Covered by a whole SCAN pass or an emptied server, which no delete command announced.
      if isCovered(commit, for: .everybody) || instance.status()?.openFlushes.isEmpty == false {
        commit.second.isByFlush = true
        return
      }
      return world.fail(
        "4",
        "\(instance.name): confirms xid \(commit.xid) at \(LSN(commit.endLSN)), not settled: "
          + describe(commit, for: .everybody))
    }
    if settled > horizon {
      world.fail(
        "4",
        "\(instance.name): confirms xid \(commit.xid), settled only"
          + " \((world.now - settled) / Time.millisecond) ms ago")
    }
  }

  /// Rows of the commit leave the outbox: nothing will bring them again.
  func removed(_ commit: Commit, by instance: Instance) {
    checkConfirmed(commit, instance, world.now)
  }

  /// After every turn of an instance's loop: invariants 1 and 7, and the limits on memory.
  func observe(_ instance: Instance, _ status: EngineStatus) {
    let unacknowledged = status.targets.map(\.unacknowledgedBytes).max() ?? 0
    if max(status.queueBytes, unacknowledged) > memoryLimit {
      world.fail(
        "memory", "\(instance.name): queue \(status.queueBytes), unacknowledged \(unacknowledged) bytes")
    }
    world.peakQueue = max(world.peakQueue, status.queueBytes + unacknowledged)
    instance.noteReadiness(status.notReady.isEmpty)
    guard instance.redis.judgedLineage == redis.lineage,
      !status.notReady.contains(where: { ["redis", "watermark", "gap", "rules"].contains($0.check) })
    else { return }
    if status.notReady.isEmpty, let connection = instance.source.connection, connection.state == .streaming,
      connection.streamingSince > postgres.promotedAt,
      // A second round, for those who fill by a plain SET, does not keep cdcd from being ready.
      let key = phantom(for: status.openFlushes.isEmpty ? .everybody : .primary)
    {
      return world.fail("7", "\(instance.name) is ready, and \(key) is a phantom: \(describe(key))")
    }
    if world.options.hasSecondDeletes { raise(&firstPromise, to: status.applied.rawValue, instance) }
    // A replica that went back is a gap once it is met.
    guard status.openFlushes.isEmpty, !status.isInDoubt, instance.replicas.isInformed else { return }
    raise(&promise, to: status.seen.rawValue, instance)
  }

  /// A key that holds what a failover has lost, of those that are judged.
  private func phantom(for audience: Audience) -> String? {
    guard postgres.timeline > 1 else { return nil }
    return redis.data.order.lazy.compactMap(\.self).first { [redis, postgres] key in
      !mayBeMissed(key)
        && redis.data.cached(key).map { audience.judges($0) && postgres.hasLost($0) } ?? false
    }
  }

  /// What is settled while a flush is open may have been handed over to it.
  private func noteFlush(_ settled: UInt64) {
    if world.options.mode == .notify {
      for commit in postgres.commits where commit.second.time == nil {
        if let from = commit.claimedFrom, from <= settled { commit.isHandedOver = true }
      }
      return
    }
    while handedCount < postgres.commits.count, postgres.commits[handedCount].endLSN <= settled {
      let commit = postgres.commits[handedCount]
      handedCount += 1
      if commit.second.time == nil { commit.isHandedOver = true }
    }
  }

  /// Keys on their way, and those that wait for their second delete: each has a limit of its own.
  private var memoryLimit: Int { (world.options.hasSecondDeletes ? 56 : 32) << 20 }

  private func raise(_ promise: inout Promise, to position: UInt64, _ instance: Instance) {
    for commit in postgres.commits[promise.count...] {
      guard let from = commit.claimedFrom, from <= position else {
        if world.options.mode == .notify { continue }
        break
      }
      guard promise.take(commit.index) else { continue }
      let keys = commit.required + commit.truncated
      guard !keys.isEmpty else { continue }
      let word = promise.audience == .primary ? "applied" : "settled"
      guard let visible = commit.visibleTick else {
        return world.fail("2", "\(instance.name): \(word) covers xid \(commit.xid), which nobody can see yet")
      }
      if promise.audience == .everybody, commit.seenTick == nil {
        return world.fail(
          "2", "\(instance.name): settled covers xid \(commit.xid), which some replica does not show yet")
      }
      for key in keys {
        promise.raise(key, to: commit, visible)
        if !isClean(key, commit, for: promise.audience) {
          return world.fail(
            "1",
            "\(instance.name): \(word) \(LSN(position)) covers xid \(commit.xid) at \(LSN(commit.endLSN)),"
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
    guard postgres.reader != nil else { return }
    // A pass of a flush that found nothing was announced by no delete.
    reviewOutstanding()
    reviewUnsettled()
    // Commits before a new slot's position are never streamed: the flush is for them.
    for commit in outstanding where commit.commitLSN >= postgres.slotStart {
      guard let visible = commit.visibleTime, world.now - max(visible, calm) > 8 * Time.second else {
        continue
      }
      return world.fail(
        "9", "xid \(commit.xid) is visible for 8 s, but: " + describe(commit, for: .primary))
    }
    checkTruncations(since: calm)
    checkSecondDeletes(since: max(calm, world.lastReplicaFault))
    checkReadiness(since: calm)
  }

  /// What a TRUNCATE took from the cache of the primary's readers goes, whatever flush is open besides.
  private func checkTruncations(since calm: Int64) {
    for commit in postgres.commits.reversed() where !commit.truncated.isEmpty {
      guard let visible = commit.visibleTime, commit.commitLSN >= postgres.slotStart else { continue }
      if world.now - visible > 60 * Time.second { break }
      guard world.now - max(visible, calm, postgres.lastLongTransaction) > 20 * Time.second else { continue }
      for key in commit.truncated where !isClean(key, commit, for: .primary) {
        return world.fail("9", "xid \(commit.xid) truncated \(key) 20 s ago, and: " + describe(key))
      }
    }
  }

  private func checkSecondDeletes(since calm: Int64) {
    for commit in unsettled where commit.commitLSN >= postgres.slotStart {
      let limit = 12 * Time.second + 2 * world.options.redeleteAfter
      guard let seen = commit.seenTime, world.now - max(seen, calm) > limit else { continue }
      return world.fail(
        "9", "xid \(commit.xid) is everywhere for 12 s, but: " + describe(commit, for: .everybody))
    }
  }

  /// An unreachable replica holds nothing else back.
  private func checkReadiness(since calm: Int64) {
    guard world.options.truncatePerMille == 0 else { return }
    guard let instance = postgres.reader?.instance, let since = instance.notReadySince else {
      return
    }
    if world.now - max(since, calm, postgres.lastLongTransaction) > 15 * Time.second {
      world.fail("9", "\(instance.name) is not ready for 15 s: " + world.describe())
    }
  }

  /// Invariants 5 and 6.
  func checkAtRest() {
    for commit in postgres.commits {
      guard let visible = commit.visibleTick else { continue }
      for key in commit.required + commit.truncated + commit.leftOut
      where !isClean(key, commit, for: .everybody) {
        return world.fail(
          "6",
          "at rest \(key) is stale: \(describe(key)), but xid \(commit.xid) at \(LSN(commit.endLSN))"
            + " became visible at \(visible)")
      }
    }
    if let key = phantom(for: .everybody) {
      return world.fail("7", "at rest \(key) is a phantom: \(describe(key))")
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
    // Without the list of rules beside the watermark, a table published anew changes every rule.
    where
      !((gap == "publication_changed" || gap == "rules_changed")
      && (world.options.faults.contains(.republished) || world.options.faults.contains(.rulesReplaced)))
      && tally.count("gap " + gap) > 0
    {
      world.fail("10", "a gap \(gap) that nothing in this world explains")
    }
    let forgetful: [Fault] = [
      .redisRestore, .redisSwap, .redisEmpty, .flushAll, .evictWatermark, .evictKey, .slotDropped,
      .postgresCrash, .postgresPromoted, .replicaCrash,
    ]
    guard !world.options.isStory, !world.options.faults.contains(where: forgetful.contains) else { return }
    let killed: UInt64 = world.options.faults.contains { $0 == .kill || $0 == .terminate } ? 20 : 0
    for gap in GapReason.allCases {
      switch gap {
      case .newSlot, .truncate, .flushInterrupted, .publicationChanged: continue
      case .secondDeletesCollapsed where !world.options.faults.isEmpty: continue
      case .replicaRestarted where !world.options.faults.isEmpty: continue
      case .tableChanged where world.options.alterPerMille > 0: continue
      case .rulesChanged where world.options.faults.contains(.rulesReplaced): continue
      // The transaction that makes a partition stays invisible for longer than anybody waits for it.
      case .tableChanged where world.options.partitioned: continue
      // The first judgement may have to be made again before the first watermark.
      case .watermarkMissing where tally.count("gap watermark_missing") < 3 + killed: continue
      default: break
      }
      if tally.count("gap " + gap.rawValue) > 0 {
        world.fail("10", "a gap \(gap.rawValue) although no server forgot anything")
      }
    }
  }
}
