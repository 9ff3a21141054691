import DequeModule

extension Engine {
  private static let second: Int64 = 1_000_000_000
  private static let heartbeat: Int64 = second
  private static let replyLimit: Int64 = 5 * second
  private static let silenceBeforeProbe: Int64 = 5 * second
  private static let silenceLimit: Int64 = 30 * second
  private static let awaitedProbeInterval: Int64 = 50_000_000

  /// When `Event.deadlineReached` is due, on the monotonic clock in nanoseconds; nil when nothing is timed.
  package var deadline: Int64? {
    var earliest = Int64.max
    func consider(_ time: Int64) { earliest = min(earliest, time) }
    switch source.phase {
    case .ended: return nil
    case .down(let retryAt): consider(retryAt)
    case .draining(let until): consider(until)
    case .streaming: considerStreaming(consider)
    case .connecting, .judging, .starting: break
    }
    for target in targets { considerTarget(target, consider) }
    return earliest == .max ? nil : earliest
  }

  private func considerStreaming(_ consider: (Int64) -> Void) {
    consider(source.feedbackDueAt)
    if configuration.mode == .notify {
      if let due = outboxDue { consider(due) }
    } else if wantsInput {
      consider(
        min(
          (source.probedAt ?? source.lastMessageAt) + Engine.silenceBeforeProbe,
          source.lastMessageAt + Engine.silenceLimit))
    }
    if isProbingForAwaited { consider(awaitedProbeAt) }
    switch queries.link {
    case .down(let retryAt): consider(retryAt)
    case .asking(let since): consider(since + QueryState.timeLimit)
    case .idle:
      if waitsForVisibility { consider(queries.recheckAt) }
      if let due = blockerDueAt { consider(due) }
      if let unplaced = stream.unplaced { consider(unplaced.askAt) }
      consider(barrier.snapshotAt + Barrier.snapshotLifetime)
      consider(renewalDue)
      consider(source.retentionDueAt)
    case .connecting: break
    }
    considerSecondDeletes(consider)
    if let job = flushes.job { consider(job.reportAt) }
    if let job = flushes.job, job.phase == .scanning {
      for (target, scan) in job.scans.enumerated()
      where !scan.isBusy && !scan.isDone && mayScan(target) {
        consider(scan.nextPageAt)
      }
    }
  }

  private func considerSecondDeletes(_ consider: (Int64) -> Void) {
    for replica in replicas.indices {
      if let due = replicaDue(replica) { consider(due) }
    }
    if secondDeletes.hasPassed(replayedByAll) { consider(now.monotonic) }
    if hasRoomInBatches, let due = secondDeletes.nextDue { consider(due) }
    if let collapseAt { consider(collapseAt) }
    if let job = flushes.job, job.phase == .waitingForPlainSets { consider(job.notBefore) }
  }

  private func considerTarget(_ target: RedisTarget, _ consider: (Int64) -> Void) {
    if case .down(let retryAt) = target.link { consider(retryAt) }
    if !target.expected.isEmpty { consider(target.progressAt + Engine.replyLimit) }
    if isHeartbeatPossible(target) { consider(target.closedAt + Engine.heartbeat) }
  }

  private func isHeartbeatPossible(_ target: RedisTarget) -> Bool {
    source.phase == .streaming && target.link == .ready && target.inFlight.isEmpty
  }

  var isProbingForAwaited: Bool {
    awaited > stream.received && now.monotonic < awaitedUntil
  }

  /// Does whatever is due.
  mutating func runTimers() {
    switch source.phase {
    case .ended: return
    case .down(let retryAt) where retryAt <= now.monotonic:
      source.phase = .connecting
      emit(.connectSource)
    case .draining(let until) where until <= now.monotonic: return finishDraining()
    case .streaming: runStreamTimers()
    case .down, .connecting, .judging, .starting, .draining: break
    }
    for target in targets.indices { runTargetTimers(target) }
  }

  private mutating func runStreamTimers() {
    configuration.mode == .notify ? runOutboxTimers() : searchSilence()
    guard source.phase == .streaming else { return }
    if isBarrierStuck {
      report(.warning, "barrier_stuck", "no snapshot could be asked for in 30 s: connecting anew")
      return restartSource(after: source.backoff.next(&random))
    }
    if isProbingForAwaited, awaitedProbeAt <= now.monotonic {
      awaitedProbeAt = now.monotonic + Engine.awaitedProbeInterval
      configuration.mode == .notify ? outboxNotified() : sendFeedback(replyRequested: true)
    } else if awaited > settled {
      for target in targets.indices where targets[target].ledger.canAdvance {
        targets[target].needsWatermark = true
        closeSmallBatch(target)
      }
    }
    if source.feedbackDueAt <= now.monotonic { sendFeedback(replyRequested: false) }
    runQueryTimers()
    reportFlushProgress()
    reportParked()
    runSecondDeletes()
    askReplicas()
  }

  private mutating func searchSilence() {
    // While the stream is not read, silence says nothing about the peer.
    if !wantsInput { source.lastMessageAt = now.monotonic }
    if source.lastMessageAt + Engine.silenceLimit <= now.monotonic {
      let failure = SourceFailure(.unavailable, "PostgreSQL has been silent for 30 s although it was asked")
      emit(.closeSource)
      return sourceFailed(failure)
    }
    if (source.probedAt ?? source.lastMessageAt) + Engine.silenceBeforeProbe <= now.monotonic {
      source.probedAt = now.monotonic
      sendFeedback(replyRequested: true)
    }
  }

  /// When the server is looked at again. A transaction that stays invisible may wait for cdcd itself, which somebody has
  /// just made a synchronous standby.
  private var renewalDue: Int64 {
    if queries.isLookWanted { return queries.renewedAt + QueryState.renewalAfterDDL }
    let period = hasBareTable ? QueryState.renewalWhileMending : QueryState.renewal
    let regular = queries.renewedAt + period
    guard let since = barrier.parkedSince else { return regular }
    return min(regular, max(since, queries.renewedAt) + QueryState.renewalWhileParked)
  }

  /// The server is asked for its facts as well: DDL that is told of from here on needs another look.
  mutating func reconnectQuery() {
    queries.link = .connecting
    queries.changesLookedFor = queries.changes.count
    emit(.reconnectQuery)
  }

  private mutating func runQueryTimers() {
    switch queries.link {
    case .down(let retryAt) where retryAt <= now.monotonic:
      reconnectQuery()
    case .asking(let since) where since + QueryState.timeLimit <= now.monotonic:
      report(.warning, "query_timeout", "PostgreSQL did not answer a snapshot query within 10 s")
      flushes.questionLost()
      queries.isSnapshotNeeded = true
      reconnectQuery()
    case .idle where (stream.unplaced?.askAt ?? .max) <= now.monotonic: askIfNeeded()
    case .idle where renewalDue <= now.monotonic:
      reconnectQuery()
    case .idle where (blockerDueAt ?? .max) <= now.monotonic: askBlocker()
    case .idle
    where (waitsForVisibility && queries.recheckAt <= now.monotonic)
      || barrier.snapshotAt + Barrier.snapshotLifetime <= now.monotonic:
      queries.isSnapshotNeeded = true
      askIfNeeded()
    case .idle where source.retentionDueAt <= now.monotonic: askIfNeeded()
    case .down, .asking, .idle, .connecting: break
    }
  }

  private mutating func runTargetTimers(_ target: Int) {
    if case .down(let retryAt) = targets[target].link, retryAt <= now.monotonic {
      targets[target].link = .connecting
      emit(.connectRedis(target: target))
    }
    if !targets[target].expected.isEmpty, targets[target].progressAt + Engine.replyLimit <= now.monotonic {
      fail(target, kind: "timeout", "no reply within 5 s")
    }
    if isHeartbeatPossible(targets[target]), targets[target].closedAt + Engine.heartbeat <= now.monotonic {
      closeBatch(target)
    }
    scanNext(target)
  }
}
