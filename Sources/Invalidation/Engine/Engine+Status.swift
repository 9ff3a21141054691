import DequeModule

extension Engine {
  /// Where everything stands, for readiness, status and metrics.
  package func status(now: Moment) -> EngineStatus {
    var status = EngineStatus()
    switch source.phase {
    case .judging, .starting, .streaming, .draining: status.sourceConnected = true
    case .down, .connecting, .ended: break
    }
    status.streaming = source.phase == .streaming
    status.waitsForTransaction = source.blocker != nil
    status.received = stream.received
    status.settled = settled
    status.applied = targets.map(\.applied).min() ?? .zero
    status.confirmed = confirmed.position
    status.serverEnd = max(stream.serverEnd, stream.received)
    status.parkedTransactions = barrier.parkedCount
    status.parkedSince = barrier.parkedSince
    status.retention = source.retention
    status.oldestParked = barrier.waiting.first { $0.isParked }?.xid
    status.lastMessage = source.hasHadMessage ? source.lastMessageAt : nil
    status.targets = targets.indices.map(targetStatus)
    status.queueBytes =
      barrier.keyBytes + secondDeletes.byteCount
      + targets.reduce(0) { $0 + $1.unacknowledgedBytes + $1.open.byteCount }
    status.ledgerEntries = targets.map(\.ledger.count).max() ?? 0
    status.isInDoubt = !source.unpublished.isEmpty || targets.contains(where: \.acknowledgedFlush)
    status.unseenChange = queries.changes.map(\.position).min()
    status.openFlushes = flushes.open.map(flushStatus)
    status.replicas = replicas.indices.map(replicaStatus)
    status.pendingSecondDeletes = secondDeletes.keyCount
    status.notReady = reasons()
    status.degraded = degraded()
    return status
  }

  /// Whether `/wait` may answer for all that is settled, as far as it is cheap to say: a change of it is published at once.
  package var isProven: Bool {
    source.phase == .streaming && continuity != nil && flushes.isEmpty && !queries.isLookWanted
      && source.unpublished.isEmpty && targets.allSatisfy { $0.link == .ready && !$0.acknowledgedFlush }
  }

  private func targetStatus(_ index: Int) -> EngineStatus.Target {
    var target = EngineStatus.Target(name: configuration.targets[index])
    target.connected = targets[index].isConnected
    target.unacknowledgedBytes = targets[index].unacknowledgedBytes
    target.applied = targets[index].applied
    target.lastError = targets[index].lastError
    return target
  }

  private func replicaStatus(_ index: Int) -> EngineStatus.Replica {
    var replica = EngineStatus.Replica(name: configuration.replicas[index])
    replica.isReachable = replicas[index].hasAnswered && replicas[index].problem == nil
    replica.replayed = replicas[index].replayed == .zero ? nil : replicas[index].replayed
    replica.problem = replicas[index].problem
    return replica
  }

  /// A replica holds back second deletes and nothing else: what waits for one is told apart from readiness.
  private func degraded() -> [EngineStatus.Reason] {
    var reasons: [EngineStatus.Reason] = []
    for (index, replica) in replicas.enumerated() {
      guard let problem = replica.problem else { continue }
      reasons.append(
        EngineStatus.Reason(check: "replicas", message: "\(configuration.replicas[index]): \(problem)"))
    }
    for rule in conditions.doubtful.sorted() {
      reasons.append(EngineStatus.Reason(check: "rules", message: conditionProblem(rule)))
    }
    if let parked = longParked {
      reasons.append(EngineStatus.Reason(check: "barrier", message: parkedProblem(parked)))
    }
    for flush in status(of: flushes.open.filter { !holdsReadiness($0) }) {
      let check = configuration.replicas.isEmpty ? "second_deletes" : "replicas"
      reasons.append(EngineStatus.Reason(check: check, message: flush))
    }
    return reasons
  }

  /// Once a flush has deleted what readers of the primary may have filled, its second round is for the others.
  private func holdsReadiness(_ flush: FlushState.Open) -> Bool {
    !flush.needsSecondRoundOnly
  }

  private func flushStatus(_ open: FlushState.Open) -> EngineStatus.Flush {
    let job = flushes.job.flatMap { $0.rules.contains(open.rule) ? $0 : nil }
    return EngineStatus.Flush(
      rule: configuration.rules[open.rule].name, reason: open.reason,
      phase: flushes.isBlocked(open.rule) ? "unpublished" : job?.phaseName ?? "barrier",
      scannedKeys: job?.scannedKeys ?? 0, deletedKeys: job?.deletedKeys ?? 0,
      waitsFor: job?.blocker?.description)
  }

  private func reasons() -> [EngineStatus.Reason] {
    var reasons: [EngineStatus.Reason] = []
    func add(_ check: String, _ message: String) {
      reasons.append(EngineStatus.Reason(check: check, message: message))
    }
    switch source.phase {
    case .streaming: break
    case .judging where targets.contains { !$0.isConnected }:
      add("source", "PostgreSQL is connected; the stream starts when every Redis target has been asked")
    case .ended, .draining: add("source", "cdcd is stopping")
    case .connecting where source.blocker != nil:
      add("source", "the slot is being made and waits for " + (source.blocker?.description ?? ""))
    case .connecting:
      add(
        "source", "connecting to PostgreSQL" + (source.failure.map { "; the last try: " + $0.message } ?? ""))
    case .down, .judging, .starting:
      add("source", source.failure?.message ?? "connecting to PostgreSQL")
    }
    if let failure = queries.failure { add("source", failure.message) }
    if source.phase == .streaming, !source.unpublished.isEmpty { add("publication", unpublishedProblem) }
    for (index, target) in targets.enumerated() {
      if !target.isConnected {
        add("redis", "\(configuration.targets[index]): \(target.lastError ?? "connecting")")
      } else if continuity == nil || target.link != .ready {
        add("watermark", "\(configuration.targets[index]): the watermark has not been judged yet")
      } else if target.lastError != nil, let error = target.lastError {
        add("redis", "\(configuration.targets[index]): \(error)")
      }
    }
    for flush in status(of: flushes.open.filter(holdsReadiness)) { add("gap", flush) }
    for relation in stream.relations {
      for rule in relation.rules {
        guard let problem = rule.problem else { continue }
        // What is so by now stands below.
        if rule.isProblemOfIdentity, relation.isLookedAt { continue }
        add("rules", problem + "; cleared by the table's next change")
      }
    }
    for (rule, table) in bareTables.sorted(by: { $0.key < $1.key }) where table.mendedAt == nil {
      add("rules", bareTableProblem(rule, table.name))
    }
    for rule in missingColumns.keys.sorted() { add("rules", missingColumnProblem(rule, in: missingColumns)) }
    return reasons
  }

  private func status(of open: [FlushState.Open]) -> [String] {
    open.map { flush in
      let name = configuration.rules[flush.rule].name
      if flushes.isBlocked(flush.rule) {
        return "rule \(name) is flushed as soon as its table is published: \(flush.reason.explanation)"
      }
      var text = "rule \(name) is being flushed: \(flush.reason.explanation)"
      if case .waiting(let xid)? = flushes.job?.phase, let xmin = barrier.snapshot?.xmin {
        text += "; it waits until every transaction below \(xid) has ended, the oldest is \(xmin)"
        if let blocker = flushes.job?.blocker { text += ": " + blocker.description }
      }
      if case .waitingForReplicas(let goal)? = flushes.job?.phase {
        text += "; its second round waits until every replica is at \(goal)"
      }
      if flushes.job?.phase == .waitingForPlainSets {
        text += "; its second round waits for `redelete_after`"
      }
      return text
    }
  }
}
