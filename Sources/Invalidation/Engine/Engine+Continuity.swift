import DequeModule

/// What a watermark means for a start.
enum Judgement: Sendable, Equatable {
  case resume(at: LSN)
  case gap(GapReason)
}

extension Watermark {
  /// Judges a stored watermark, in words of contract 3 and 4. `text` is empty when Redis has none. The other two tell
  /// whether a crash, or a failover, may have lost commits that readers saw.
  static func judge(
    _ text: [UInt8], _ facts: SourceFacts, crashMayLose: Bool, failoverMayLose: Bool
  ) -> Judgement {
    if facts.slotCreated { return .gap(.newSlot) }
    if text.isEmpty { return .gap(.watermarkMissing) }
    guard let found = Watermark(text) else { return .gap(.watermarkMalformed) }
    if found.system != facts.systemIdentifier { return .gap(.systemChanged) }
    if found.timeline != facts.timeline {
      if failoverMayLose || facts.obstacleToFollowing(found) != nil { return .gap(.timelineChanged) }
    } else if found.crashMarker != facts.crashMarker, crashMayLose {
      return .gap(.crashRecovery)
    }
    if found.settled < facts.confirmedFlush { return .gap(.watermarkBehindSlot) }
    if found.applied > facts.flushLSN { return .gap(.watermarkAhead) }
    return .resume(at: found.settled)
  }
}

extension Engine {
  /// Every target has told what it holds: decides where the stream starts, and which gaps are open.
  mutating func planStart() {
    guard source.phase == .judging, let facts = source.facts,
      targets.allSatisfy({ $0.link == .asked })
    else { return }
    var position = LSN(UInt64.max)
    var gaps: [StartPlan.Gap] = []
    for target in targets.indices {
      let judgement = Watermark.judge(
        targets[target].found.watermark, facts, crashMayLose: mayCrashLose(facts),
        failoverMayLose: mayFailoverLose(facts))
      reportFailover(targets[target].found.watermark, facts, judgement)
      switch judgement {
      case .resume(let settled):
        position = min(position, settled)
        gaps += changesSince(targets[target].found)
      case .gap(.watermarkAhead) where !isSuspicionConfirmed(targets[target].found, facts):
        // As a second instance does, which this may be: without haste.
        return restartSource(after: slotRetryDelay())
      case .gap(let reason):
        position = min(position, facts.confirmedFlush)
        gaps.append(StartPlan.Gap(reason: reason, rules: Array(configuration.rules.indices)))
      }
    }
    source.suspected = nil
    recallReplicas()
    start(StartPlan(position: position, gaps: gaps, continues: false))
  }

  /// A session can commit asynchronously without a trace in the catalogue, so only the operator can say that none does.
  func mayCrashLose(_ facts: SourceFacts) -> Bool {
    facts.asynchronousCommit || !configuration.losslessCrash
  }

  /// The same of what waits for a standby.
  private func mayFailoverLose(_ facts: SourceFacts) -> Bool {
    facts.asynchronousCommit || !configuration.losslessFailover
  }

  /// Who vouches for lossless failovers is told what became of this one.
  private mutating func reportFailover(_ text: [UInt8], _ facts: SourceFacts, _ judgement: Judgement) {
    guard configuration.losslessFailover, let found = Watermark(text), found.timeline != facts.timeline else {
      return
    }
    switch judgement {
    case .resume(let position):
      report(
        .notice, "failover_followed",
        "the server was promoted: the stream goes on from \(position) on timeline \(facts.timeline), and nothing is flushed",
        lsn: position)
    case .gap(.timelineChanged):
      let obstacle =
        facts.asynchronousCommit
        ? "synchronous_commit is off, or set for a role or database" : facts.obstacleToFollowing(found)
      report(
        .warning, "failover_not_followed",
        "the server was promoted, and source.lossless_failover does not hold: \(obstacle ?? "")")
    case .gap: break
    }
  }

  /// The end of the WAL was read before the watermark, and another instance may have written in between: a
  /// watermark that is still beyond it when the server was asked again is a gap.
  private mutating func isSuspicionConfirmed(_ found: RedisTarget.Found, _ facts: SourceFacts) -> Bool {
    guard let applied = Watermark(found.watermark)?.applied else { return true }
    if let suspected = source.suspected, facts.flushLSN < suspected { return true }
    source.suspected = applied
    return false
  }

  /// Flushes that were open, rules that were added or changed, and tables that were published anew, since the
  /// watermark was written.
  private func changesSince(_ found: RedisTarget.Found) -> [StartPlan.Gap] {
    guard let watermark = Watermark(found.watermark) else { return [] }
    var gaps: [StartPlan.Gap] = []
    let interrupted = configuration.rules.indices.filter {
      watermark.openFlushes.contains(fingerprint.rules[$0])
    }
    if !interrupted.isEmpty { gaps.append(StartPlan.Gap(reason: .flushInterrupted, rules: interrupted)) }
    return gaps + self.gaps(fingerprint.differences(from: found.ruleSet, of: watermark.rules))
  }

  func gaps(_ differences: RuleSetFingerprint.Differences) -> [StartPlan.Gap] {
    [
      StartPlan.Gap(reason: .rulesChanged, rules: differences.changed),
      StartPlan.Gap(reason: .publicationChanged, rules: differences.republished),
    ].filter { !$0.rules.isEmpty }
  }

  /// Another look at the publication while the stream flows: what was taken out and put back since the last one has
  /// left changes out, and the stream does not tell.
  mutating func noticePublication(_ facts: SourceFacts) {
    notePublication(facts)
    let present = RuleSetFingerprint(configuration.rules, publication: publication)
    guard present != fingerprint else { return }
    forgetPlaces()
    for gap in gaps(present.differences(from: fingerprint)) { openGap(gap.reason, rules: gap.rules) }
    // A halt must be found again by the next start.
    guard source.phase == .streaming else { return }
    // Not before: the watermark that names the new set has to name the flush as well.
    fingerprint = present
    writeRuleSet()
  }

  mutating func notePublication(_ facts: SourceFacts) {
    publication = facts.publication
    lookedAt = Set(configuration.rules.compactMap(\.table))
  }

  /// The next watermark names the present set of rules, and the set goes with it.
  mutating func writeRuleSet() {
    rewriteWatermarkHead()
    for target in targets.indices {
      targets[target].owesRuleSet = true
      targets[target].needsWatermark = true
      closeSmallBatch(target)
    }
  }

  /// A target answered while this process's chain stands: goes on, or finds the chain broken.
  mutating func resume(_ target: Int) {
    let found = targets[target].found
    let isSameHistory =
      found.identity.run == targets[target].identity.run
      && found.identity.replication == targets[target].identity.replication
    let isFlushInDoubt =
      Watermark(found.watermark)?.openFlushes.isEmpty == false
      || targets[target].inFlight.contains { $0.tellsOfFlush || $0.endsFlush }
    if !isSameHistory, isFlushInDoubt {
      // Keys that the flush deleted may be back, and no watermark tells which.
      return lineageBroke(target)
    }
    if found.watermark == targets[target].acknowledgedValue {
      // Nothing was lost, and nothing more was acknowledged.
    } else if let index = targets[target].inFlight.firstIndex(where: { $0.value == found.watermark }) {
      if targets[target].ranBare {
        repair(target, from: found.watermark)
      } else {
        for _ in 0...index { acknowledgeFirst(target, hits: 0) }
      }
    } else if found.watermark.isEmpty, targets[target].isUnbroken, isSameHistory {
      statistics.evictedWatermarks += 1
      report(
        .warning, "watermark_evicted",
        "the watermark was evicted or flushed away and is written again; use a maxmemory-policy of volatile-* or noeviction"
      )
      repair(target, from: [])
    } else {
      return lineageBroke(target)
    }
    targets[target].identity = found.identity
    targets[target].isVerifying = false
    targets[target].isUnbroken = true
    targets[target].link = .ready
    targets[target].sentCount = 0
    sendBatches(target)
    closeSmallBatch(target)
    scanNext(target)
  }

  /// Sets the watermark back to the last one that is known to stand for its deletes.
  private mutating func repair(_ target: Int, from present: [UInt8]) {
    guard let watermarkKeys else { return }
    targets[target].owesRuleSet = true
    var writer = CommandWriter()
    BatchEncoder.writeCompareAndSet(watermarkKeys, present, targets[target].acknowledgedValue, to: &writer)
    expect(target, [.repair])
    emit(.sendRedis(target: target, bytes: writer.bytes))
  }

  /// Redis does not hold what was acknowledged: judge everything anew, and read the stream again from there.
  mutating func lineageBroke(_ target: Int) {
    if !targets[target].isVerifying {
      statistics.lineageBreaks += 1
      report(
        .warning, "lineage_break",
        "Redis target \(configuration.targets[target]) does not hold the last watermark: changes are replayed from what it holds"
      )
    }
    forgetChain()
    restartSource(after: source.backoff.next(&random))
    finishDrainingIfSettled()
  }

  /// Drops all work and every belief about what the targets hold.
  mutating func forgetChain() {
    continuity = nil
    flushes.reset()
    secondDeletes.removeAll()
    forgetReplicaPositions()
    confirmed.forgetSettled()
    for target in targets.indices {
      targets[target].dropWork()
      targets[target].settled = min(targets[target].settled, confirmed.position)
      targets[target].applied = targets[target].settled
      targets[target].isUnbroken = false
      guard targets[target].isConnected else { continue }
      if targets[target].expected.isEmpty {
        targets[target].link = .idle
      } else {
        // Replies of dropped work are still to come: a new connection is simpler than sorting them out.
        emit(.closeRedis(target: target))
        targets[target].expected.removeAll()
        targets[target].link = .down(retryAt: now.monotonic)
      }
    }
    runTimers()
  }

  mutating func rewriteWatermarkHead() {
    guard let continuity else { return }
    watermarkHead =
      Watermark(
        system: continuity.system, timeline: continuity.timeline, crashMarker: continuity.crashMarker,
        rules: fingerprint.whole, replicas: replicas.compactMap(\.entry), run: configuration.runIdentifier,
        batch: 0, applied: .zero, settled: .zero,
        openFlushes: []
      ).head
  }
}
