import DequeModule

extension Engine {
  /// Asks the one question that is most needed, if the query connection is free.
  mutating func askIfNeeded() {
    guard queries.link == .idle, source.phase == .streaming else { return }
    if let unplaced = stream.unplaced, unplaced.askAt <= now.monotonic {
      queries.link = .asking(since: now.monotonic)
      return emit(.queryLineage(of: reference(to: unplaced.relation)))
    }
    if flushes.job?.phase == .needsTransaction {
      flushes.job?.phase = .askingTransaction
      queries.link = .asking(since: now.monotonic)
      return emit(.queryCurrentTransaction)
    }
    if flushes.job?.phase == .needsWALEnd {
      flushes.job?.phase = .askingWALEnd
      queries.link = .asking(since: now.monotonic)
      return emit(.queryWALEnd)
    }
    // Before the snapshot: on a busy server one is always needed.
    if source.retentionDueAt <= now.monotonic { return askRetention() }
    guard queries.isSnapshotNeeded || barrier.uncheckedCount > 0 else { return }
    queries.isSnapshotNeeded = false
    queries.link = .asking(since: now.monotonic)
    barrier.willAsk()
    emit(.querySnapshot)
  }

  mutating func snapshotArrived(_ snapshot: TransactionSnapshot) {
    guard case .asking = queries.link else { return }
    queryAnswered()
    guard source.phase == .streaming else { return }
    let visible = barrier.clear(with: snapshot, at: now.monotonic)
    for transaction in visible { release(transaction) }
    if visible.contains(where: \.isDropped) {
      // Its keys are gone, and only the stream can bring them again.
      report(.notice, "parked_keys_dropped", "a large transaction became visible; its changes are read again")
      return restartSource(after: 50_000_000)
    }
    if case .waiting(let xid)? = flushes.job?.phase, snapshot.xmin >= xid {
      flushes.job?.phase = .scanning
      flushes.job?.passedAt = now.monotonic
      flushes.job?.blocker = nil
      for target in targets.indices { scanNext(target) }
    }
    scheduleRecheck(progressed: !visible.isEmpty)
    for target in targets.indices { closeSmallBatch(target) }
    askIfNeeded()
  }

  mutating func queryAnswered() {
    queries.link = .idle
    queries.backoff.reset()
    queries.failingSince = nil
    queries.failure = nil
  }

  /// Moves a visible transaction's keys into the batches.
  private mutating func release(_ transaction: WaitingTransaction) {
    statistics.barrierWaits += 1
    statistics.barrier.record((now.monotonic - transaction.since) / 1_000)
    guard !transaction.isDropped else { return }
    addToBatches(
      transaction.keys,
      of: commitOrigin(
        xid: transaction.xid, position: transaction.position, time: transaction.commitTime))
    deleteAgainLater(transaction.keys, commit: transaction.position, after: transaction.preceding)
    if !transaction.isCommitted {
      stream.transaction?.destination = .batches
      return
    }
    for target in targets.indices {
      targets[target].ledger.finish(waiting: transaction.number)
      targets[target].endTransaction(
        committedAt: transaction.commitTime, position: transaction.position)
    }
  }

  private mutating func scheduleRecheck(progressed: Bool) {
    if progressed { queries.recheckDelay = QueryState.firstRecheck }
    queries.recheckAt = now.monotonic + queries.recheckDelay
    queries.recheckDelay = min(queries.recheckDelay * 2, QueryState.slowestRecheck)
  }

  /// Whether a snapshot has to be asked for again although nothing new arrived.
  var waitsForVisibility: Bool {
    if case .waiting? = flushes.job?.phase { return true }
    return barrier.parkedCount > 0
  }

  mutating func currentTransactionArrived(_ xid: UInt64) {
    guard case .asking = queries.link else { return }
    queryAnswered()
    guard source.phase == .streaming else { return }
    if flushes.job?.phase == .askingTransaction {
      flushes.job?.phase = .waiting(for: xid)
      flushes.job?.blockerDueAt = now.monotonic + FlushState.blockerDelay
    }
    queries.isSnapshotNeeded = true
    queries.recheckDelay = QueryState.firstRecheck
    askIfNeeded()
  }

  // MARK: The query connection

  mutating func queryReconnected(_ facts: SourceFacts) {
    guard case .connecting = queries.link else { return }
    queries.link = .idle
    queries.renewedAt = now.monotonic
    queries.look(with: facts.snapshot)
    queries.backoff.reset()
    guard let known = continuity, source.phase == .streaming else { return }
    guard facts.systemIdentifier == known.system, facts.timeline == known.timeline,
      facts.crashMarker == known.crashMarker
    else {
      // Another server, or one that crashed: the whole start is judged again.
      return restartSource(after: 0)
    }
    noticePartitions(facts)
    noticeUnpublished(facts)
    noticePublication(facts)
    noticeBareTables(facts)
    noticeMissingColumns(facts)
    noticeConditionTypes(facts)
    guard source.phase == .streaming else { return }
    queries.isSnapshotNeeded = true
    askIfNeeded()
  }

  mutating func queryFailed(_ failure: SourceFailure) {
    switch source.phase {
    case .judging, .starting, .streaming: break
    case .down, .connecting, .draining, .ended: return queries.link = .down(retryAt: .max)
    }
    report(.warning, "query_connection", "the query connection failed: " + failure.message)
    statistics.sourceRetries += 1
    flushes.questionLost()
    if failure.kind == .unpublished { source.hasMissedChanges = true }
    if failure.kind != .unavailable {
      // A held-back confirmation would keep the walsender, and with it a server that shuts down, from ending
      // (contract 3); a stream that leaves changes out must not move the watermark (once it is mended, the publication is
      // another than the one stored beside it); and commits must not wait for a cdcd that was made a synchronous standby.
      source.failure = failure
      return restartSource(after: source.backoff.next(&random))
    }
    queries.isSnapshotNeeded = true
    if queries.failingSince == nil { queries.failingSince = now.monotonic }
    queries.failure = failure
    // The query connection is the one that learns of a fast shutdown, which has three seconds.
    let delay = min(queries.backoff.next(&random), QueryState.longestDelay)
    queries.link = .down(retryAt: now.monotonic + delay)
  }

  /// A full barrier that no query can clear, or a table that none can place, and for so long: the stream may be that of a
  /// server that is gone.
  var isBarrierStuck: Bool {
    guard barrier.isFull || stream.unplaced != nil, let since = queries.failingSince else { return false }
    return now.monotonic - since >= QueryState.failureLimit
  }
}
