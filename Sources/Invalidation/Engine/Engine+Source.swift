import DequeModule

extension Engine {
  // MARK: Connecting

  mutating func sourceConnected(_ facts: SourceFacts) {
    guard source.phase == .connecting else { return }
    source.facts = facts
    noticePartitions(facts)
    source.failure = nil
    source.blocker = nil
    stream.serverEnd = facts.flushLSN
    queries.link = .idle
    queries.renewedAt = now.monotonic
    queries.changesLookedFor = queries.changes.count
    queries.look(with: facts.snapshot)
    let database = facts.database.map { "." + $0 } ?? ""
    watermarkKeys = WatermarkKeys(system: facts.systemIdentifier, slot: configuration.slot + database)
    if continuity != nil, let position = continuation(facts) {
      confirmed.resume(at: facts.confirmedFlush)
      return start(StartPlan(position: position, gaps: [], continues: true))
    }
    forgetChain()
    notePublication(facts)
    fingerprint = RuleSetFingerprint(configuration.rules, publication: publication)
    confirmed.restart(at: facts.confirmedFlush)
    source.phase = .judging
    for target in targets.indices where targets[target].isConnected { ask(target) }
  }

  /// Where the stream goes on when this process's chain of watermarks still holds on this server; nil when the
  /// whole history has to be judged.
  private mutating func continuation(_ facts: SourceFacts) -> LSN? {
    guard let known = continuity, facts.systemIdentifier == known.system, facts.timeline == known.timeline,
      !facts.slotCreated, facts.crashMarker == known.crashMarker || !mayCrashLose(facts)
    else { return nil }
    let position = targets.map(\.ledger.position).min() ?? .zero
    guard facts.confirmedFlush <= position, position <= facts.flushLSN else { return nil }
    continuity?.crashMarker = facts.crashMarker
    rewriteWatermarkHead()
    return position
  }

  mutating func start(_ plan: StartPlan) {
    source.plan = plan
    source.phase = .starting
    emit(.startReplication(plan.position))
  }

  mutating func replicationStarted(slotAt confirmedFlush: LSN) {
    guard source.phase == .starting, let plan = source.plan, let facts = source.facts else { return }
    guard confirmedFlush <= plan.position else {
      // Somebody moved or remade the slot since it was read: the server skips what is between, in silence.
      report(
        .warning, "slot_moved",
        "the slot is at \(confirmedFlush), beyond \(plan.position): the start is judged again")
      return restartSource(after: source.backoff.next(&random))
    }
    source.plan = nil
    source.phase = .streaming
    source.startedAt = now.monotonic
    source.lastMessageAt = now.monotonic
    source.probedAt = nil
    source.feedbackDueAt = now.monotonic
    source.retentionDueAt = now.monotonic + Engine.firstRetention
    if source.wasStreaming { statistics.sourceReconnects += 1 }
    source.wasStreaming = true
    source.waitsForSlot = false
    resetStream()
    stream.received = plan.position
    stream.outbox.answeredAt = now.monotonic
    queries.isSnapshotNeeded = true
    if !plan.continues {
      beginChains(plan, facts)
      // The watermark that was found may know nothing of them.
      source.unpublished = []
    }
    noticeUnpublished(facts)
    guard source.phase == .streaming else { return }
    for gap in plan.gaps {
      // What was begun is finished, whatever the policy says by now.
      if gap.reason == .flushInterrupted {
        requireFlush(gap.reason, rules: gap.rules)
      } else {
        openGap(gap.reason, rules: gap.rules)
      }
    }
    if source.hasMissedChanges {
      source.hasMissedChanges = false
      openGap(.publicationChanged, rules: Array(configuration.rules.indices))
    }
    if plan.continues { noticePublication(facts) } else { reopenTableChanges(since: plan.position) }
    noticeBareTables(facts)
    noticeMissingColumns(facts)
    noticeConditionTypes(facts)
    guard source.phase == .streaming else { return }
    if let end = acceptsGapsBefore { acceptsGapsBefore = min(end, facts.flushLSN) }
    report(.info, "streaming", "streaming from \(plan.position)", lsn: plan.position)
    // A flush that was open goes on from its barrier.
    beginFlushIfNeeded()
    askIfNeeded()
    runTimers()
  }

  private mutating func beginChains(_ plan: StartPlan, _ facts: SourceFacts) {
    continuity = Continuity(
      system: facts.systemIdentifier, timeline: facts.timeline, crashMarker: facts.crashMarker)
    rewriteWatermarkHead()
    for target in targets.indices {
      targets[target].beginChain(at: plan.position, now: now.monotonic)
      targets[target].isVerifying = true
      // Another instance may have written between the judgement and now.
      if targets[target].isConnected { ask(target) }
    }
  }

  // MARK: Losing it

  mutating func sourceFailed(_ failure: SourceFailure) {
    switch source.phase {
    case .connecting, .judging, .starting, .streaming: break
    case .draining: return end()
    case .down, .ended: return
    }
    // A stream that held for a while starts the delays anew; one that breaks at once does not.
    if source.phase == .streaming, now.monotonic - source.startedAt > 5_000_000_000 { source.backoff.reset() }
    // A second instance waits for as long as the first one lives: that is said once.
    let isNews = failure.kind != .slotInUse || !source.waitsForSlot
    source.waitsForSlot = failure.kind == .slotInUse
    source.failure = failure
    if failure.kind == .unpublished { source.hasMissedChanges = true }
    statistics.sourceRetries += 1
    let delay =
      failure.kind == .slotInUse ? slotRetryDelay() : source.backoff.next(&random)
    if isNews { report(severity(of: failure), failure.cause, failure.message) }
    leaveStream(retryAt: now.monotonic + delay)
  }

  /// A second instance takes over within a second, and does not hurry the first one.
  mutating func slotRetryDelay() -> Int64 {
    300_000_000 + Int64.random(in: 0...400_000_000, using: &random)
  }

  private func severity(of failure: SourceFailure) -> Notice.Severity {
    switch failure.kind {
    case .unavailable: .warning
    case .shuttingDown, .slotInUse: .notice
    case .slotLost, .unpublished, .misconfigured: .error
    }
  }

  /// Closes both connections and comes back after `delay` nanoseconds.
  mutating func restartSource(after delay: Int64) {
    switch source.phase {
    case .connecting, .judging, .starting, .streaming: emit(.closeSource)
    case .down, .draining, .ended: return
    }
    leaveStream(retryAt: now.monotonic + delay)
    runTimers()
  }

  private mutating func leaveStream(retryAt: Int64) {
    resetStream()
    source.plan = nil
    source.blocker = nil
    source.retention = nil
    source.phase = .down(retryAt: retryAt)
    queries.link = .down(retryAt: .max)
    // The transaction whose end it waited for comes again, as a whole.
    takeReplacement()
  }

  /// Forgets everything that the stream will bring again. What is in flight to Redis stays.
  private mutating func resetStream() {
    stream.restart()
    barrier.reset()
    queries.recheckDelay = QueryState.firstRecheck
    queries.failingSince = nil
    queries.failure = nil
    flushes.backToBarrier()
    for target in targets.indices {
      // Second deletes among them would not come again.
      if secondDeletes.isUsed, !targets[target].open.isEmpty { closeBatch(target) }
      targets[target].dropOpen()
      targets[target].ledger = Ledger(position: targets[target].ledger.position)
    }
  }

  // MARK: Feedback

  mutating func sendFeedback(replyRequested: Bool) {
    guard source.phase == .streaming else { return }
    // While a target is away, what it holds is not known, and does not grow old enough to be confirmed.
    if targets.allSatisfy({ $0.link == .ready }) { confirmed.note(settled, at: now.monotonic) }
    source.feedbackDueAt = now.monotonic + 1_000_000_000
    guard configuration.mode != .notify else { return advanceOutbox() }
    let received = max(stream.received, confirmed.position)
    emit(
      .sendFeedback(
        Feedback(received: received, confirmed: confirmed.position, replyRequested: replyRequested)))
  }

  mutating func expectPosition(_ position: LSN) {
    // A position that nobody waits for any more, perhaps one that will never come, is not asked for again.
    if awaitedUntil < now.monotonic { awaited = .zero }
    awaited = max(awaited, position)
    awaitedUntil = now.monotonic + 60_000_000_000
    awaitedProbeAt = now.monotonic
    runTimers()
  }

  // MARK: Ending

  mutating func stop() {
    guard source.phase == .streaming else {
      switch source.phase {
      case .connecting, .judging, .starting: emit(.closeSource)
      case .down, .streaming, .draining, .ended: break
      }
      return end()
    }
    for target in targets.indices {
      let hasNews = !targets[target].open.isEmpty || targets[target].ledger.canAdvance
      // The end of a flush has to be written, or the next start begins it again.
      if hasNews || targets[target].needsWatermark { closeBatch(target) }
    }
    source.phase = .draining(until: now.monotonic + 5_000_000_000)
    advanceOutbox()
    finishDrainingIfSettled()
  }

  mutating func finishDrainingIfSettled() {
    guard case .draining = source.phase, targets.allSatisfy(\.inFlight.isEmpty), !isOutboxBusy else {
      return
    }
    finishDraining()
  }

  mutating func finishDraining() {
    if targets.allSatisfy({ $0.link == .ready }) { confirmed.note(settled, at: now.monotonic) }
    if configuration.mode != .notify {
      emit(
        .sendFeedback(
          Feedback(
            received: max(stream.received, confirmed.position), confirmed: confirmed.position,
            replyRequested: false)))
    }
    emit(.closeSource)
    end()
  }

  private mutating func end() {
    for target in targets.indices where targets[target].isConnected { emit(.closeRedis(target: target)) }
    source.phase = .ended
    emit(.finished)
  }
}

extension SourceFailure {
  /// Groups its notices.
  fileprivate var cause: String {
    switch kind {
    case .unavailable: "source_unavailable"
    case .shuttingDown: "source_shutting_down"
    case .slotInUse: "slot_in_use"
    case .slotLost: "slot_lost"
    case .unpublished: "source_unpublished"
    case .misconfigured: "source_misconfigured"
    }
  }
}
