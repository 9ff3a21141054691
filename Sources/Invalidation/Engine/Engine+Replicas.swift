extension Engine {
  // MARK: Asking replicas

  /// Asks every replica whose answer is due, or whose progress something waits for.
  mutating func askReplicas() {
    guard source.phase == .streaming else { return }
    for replica in replicas.indices {
      guard let due = replicaDue(replica), due <= now.monotonic else { continue }
      replicas[replica].isAsking = true
      emit(.askReplica(replica: replica))
    }
  }

  /// When the replica is to be asked; nil while it is being asked.
  func replicaDue(_ replica: Int) -> Int64? {
    let state = replicas[replica]
    guard !state.isAsking else { return nil }
    return isAwaited(replica) ? min(state.neededAt, state.nextAskAt) : state.nextAskAt
  }

  private func isAwaited(_ replica: Int) -> Bool {
    guard replicas[replica].problem == nil else { return false }
    if let commit = secondDeletes.awaitedCommit, commit >= replicas[replica].replayed { return true }
    if case .waitingForReplicas(let goal)? = flushes.job?.phase { return goal > replicas[replica].replayed }
    return false
  }

  mutating func replicaAnswered(_ replica: Int, _ facts: ReplicaFacts) {
    guard replicas.indices.contains(replica), replicas[replica].isAsking else { return }
    replicas[replica].isAsking = false
    guard source.phase == .streaming, let continuity else { return }
    if let problem = facts.problem(system: continuity.system, timeline: continuity.timeline) {
      return replicaCountsNot(replica, problem)
    }
    if replicas[replica].problem != nil {
      report(.notice, "replica_recovered", "read replica \(configuration.replicas[replica]) counts again")
    }
    let progressed = facts.replayed > replicas[replica].replayed
    replicas[replica].hasAnswered = true
    replicas[replica].problem = nil
    replicas[replica].backoff.reset()
    replicas[replica].replayed = facts.replayed
    if progressed { replicas[replica].recheckDelay = ReplicaState.firstRecheck }
    replicas[replica].neededAt = now.monotonic + replicas[replica].recheckDelay
    replicas[replica].nextAskAt = now.monotonic + ReplicaState.idleInterval
    replicas[replica].recheckDelay = min(
      replicas[replica].recheckDelay * 2, ReplicaState.slowestRecheck)
    compare(replica, ReplicaState.entry(of: configuration.replicas[replica], facts.incarnation))
    secondDeletes.pass(replayedByAll, at: now.monotonic)
    runTimers()
  }

  /// A replica that was started anew may have shown an older state for a moment, also while cdcd was not there to see
  /// it: what its readers filled then is deleted once more.
  private mutating func compare(_ replica: Int, _ entry: String) {
    guard replicas[replica].entry != entry else { return }
    replicas[replica].entry = entry
    rewriteWatermarkHead()
    coverAgain(Array(configuration.rules.indices), .replicaRestarted)
  }

  /// The judged watermarks tell which replicas their second deletes were made for.
  mutating func recallReplicas() {
    let known = targets.map { Watermark($0.found.watermark)?.replicas ?? [] }
    for replica in replicas.indices {
      let name = ReplicaState.entry(of: configuration.replicas[replica], nil)
      let entries = known.map { entries in entries.first { $0.hasPrefix(name) } }
      replicas[replica].entry = entries.allSatisfy { $0 == entries[0] } ? entries[0] : nil
    }
  }

  mutating func replicaFailed(_ replica: Int, _ reason: String) {
    guard replicas.indices.contains(replica) else { return }
    guard replicas[replica].isAsking else {
      // Between two questions: whoever answers the next one may show an older state.
      replicas[replica].replayed = .zero
      replicas[replica].nextAskAt = now.monotonic
      return runTimers()
    }
    replicas[replica].isAsking = false
    replicaCountsNot(replica, reason)
  }

  /// Second deletes wait for it, and nothing else does.
  private mutating func replicaCountsNot(_ replica: Int, _ problem: String) {
    if replicas[replica].problem == nil {
      report(
        .warning, "replica_unavailable",
        "read replica \(configuration.replicas[replica]): \(problem); second deletes wait for it")
    }
    replicas[replica].problem = problem
    replicas[replica].nextAskAt = now.monotonic + replicas[replica].backoff.next(&random)
    statistics.replicaRetries += 1
  }

  /// What every replica has replayed; the end of everything when there are none.
  var replayedByAll: LSN { replicas.map(\.replayed).min() ?? LSN(.max) }

  /// The history that their positions belong to has changed, or may have.
  mutating func forgetReplicaPositions() {
    for replica in replicas.indices {
      replicas[replica].replayed = .zero
      replicas[replica].nextAskAt = now.monotonic
    }
  }

  // MARK: Second deletes

  /// Notes that these keys need their second delete. Their transaction is visible.
  @inline(__always)
  mutating func deleteAgainLater(_ keys: borrowing KeyBuffer, commit: LSN, after preceding: LSN) {
    guard secondDeletes.isUsed else { return }
    secondDeletes.add(keys, commit: commit, after: preceding, at: now.monotonic)
    if secondDeletes.isOverfull { collapseSecondDeletes() }
  }

  /// Puts every key that is due into the batches.
  mutating func runSecondDeletes() {
    guard secondDeletes.isUsed, source.phase == .streaming else { return }
    // A replica may be ahead of the primary's proc array: what it replayed once stays replayed.
    secondDeletes.pass(replayedByAll, at: now.monotonic)
    if let collapseAt, collapseAt <= now.monotonic { collapseSecondDeletes() }
    var hasDeleted = false
    while hasRoomInBatches, let due = secondDeletes.due(at: now.monotonic) {
      addToBatches(due.keys, of: .secondDelete)
      // Not before: a batch that closed meanwhile must not claim them.
      secondDeletes.dropFirst(of: due.lane)
      statistics.secondDeletes += UInt64(due.keys.count)
      hasDeleted = true
    }
    if hasDeleted { moveWatermark() }
    continueFlushBehindReplicas()
  }

  /// When a flush takes over from second deletes that wait for a replica (contract 5). Replicas are asked only while
  /// the stream flows.
  var collapseAt: Int64? {
    let patience = max(configuration.retain.wholeNanoseconds, 10_000_000_000)
    return secondDeletes.waitingSince.map { max($0, source.startedAt) + patience }
  }

  /// A flush takes over, so that neither memory nor WAL grows with an absent replica.
  private mutating func collapseSecondDeletes() {
    var rules = secondDeletes.collapse()
    // What no flush can cover is a gap of its own, before the watermark passes it.
    let unflushable = rules.filter { configuration.rules[$0].flushPatterns.isEmpty }
    if !unflushable.isEmpty { openGap(.secondDeletesCollapsed, rules: unflushable) }
    guard source.phase == .streaming else { return }
    rules.removeAll { unflushable.contains($0) }
    coverAgain(rules, .secondDeletesCollapsed)
  }

  /// A flush is to delete what readers of replicas, and those who fill by a plain SET, may have filled until now.
  private mutating func coverAgain(_ rules: [Int], _ reason: GapReason) {
    let uncovered = rules.filter { !flushes.isBeingFlushed($0) }
    if uncovered.count < rules.count {
      flushes.coverMore(notBefore: now.monotonic + secondDeletes.longestDelay(of: rules))
      askIfNeeded()
    }
    if !uncovered.isEmpty { requireFlush(reason, rules: uncovered) }
    moveWatermark()
  }

  private mutating func moveWatermark() {
    for target in targets.indices {
      targets[target].needsWatermark = true
      closeSmallBatch(target)
    }
  }
}
