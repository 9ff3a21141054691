extension Engine {
  /// Continuity of these rules cannot be proved: does what their policy says.
  mutating func openGap(_ reason: GapReason, rules: [Int]) {
    guard source.phase != .ended else { return }
    var isNew = false
    for rule in rules {
      let name = configuration.rules[rule].name
      switch configuration.rules[rule].onGap ?? configuration.onGap {
      case .flush: isNew = requestFlush(rule, reason) || isNew
      case .halt where acceptsGap:
        report(.warning, "gap_accepted", "gap accepted: \(reason.explanation)", rule: name)
        isNew = true
      case .halt: return halt(reason, rule: name)
      case .ignore:
        isNew = stream.reported.insert("ignored \(reason) \(rule)").inserted || isNew
      }
    }
    if isNew { gapOpened(reason, rules: rules) }
    beginFlushIfNeeded()
  }

  /// A flush that is due whatever the policy: it was begun, or does the work of second deletes.
  mutating func requireFlush(_ reason: GapReason, rules: [Int]) {
    var isNew = false
    for rule in rules { isNew = requestFlush(rule, reason) || isNew }
    if isNew { gapOpened(reason, rules: rules) }
    beginFlushIfNeeded()
  }

  private mutating func gapOpened(_ reason: GapReason, rules: [Int]) {
    if let index = statistics.gaps.firstIndex(where: { $0.reason == reason }) {
      statistics.gaps[index].count += 1
    } else {
      statistics.gaps.append(Statistics.GapCount(reason: reason, count: 1))
    }
    report(.warning, "gap_\(reason.rawValue)", "gap: \(reason.explanation)", rule: names(of: rules))
    for target in targets.indices { targets[target].needsWatermark = true }
  }

  /// `--accept-gap` covers what was in the WAL at the start: a transaction counts by its commit record.
  private var acceptsGap: Bool {
    guard let end = acceptsGapsBefore else { return false }
    return (stream.transaction?.position ?? stream.received) < end
  }

  /// For the log: a few rules by name, more by their number.
  func names(of rules: [Int]) -> String {
    guard rules.count <= 5 else { return "\(rules.count) rules" }
    return rules.map { configuration.rules[$0].name }.joined(separator: ", ")
  }

  private mutating func halt(_ reason: GapReason, rule: String) {
    report(
      .error, "halted",
      "halted on a gap: \(reason.explanation); end it with `cdcd flush --close-gap`, which deletes what may be stale, or"
        + " with `cdcd run --accept-gap`, once that is gone",
      rule: rule)
    emit(.closeSource)
    emit(.halt(reason))
    source.phase = .ended
  }

  private mutating func requestFlush(_ rule: Int, _ reason: GapReason) -> Bool {
    guard !configuration.rules[rule].flushPatterns.isEmpty else {
      if stream.reported.insert("no pattern \(rule)").inserted {
        report(
          .error, "no_pattern", "the rule has no pattern to flush; add `pattern:`",
          rule: configuration.rules[rule].name)
      }
      return false
    }
    return flushes.request(rule, reason, fingerprint: fingerprint.rules)
  }

  mutating func beginFlushIfNeeded() {
    guard source.phase == .streaming, flushes.mayBegin else { return }
    flushes.begin(
      rules: configuration.rules, leases: configuration.leases, targets: targets.count, at: now.monotonic)
    if let job = flushes.job,
      flushes.open.allSatisfy({ $0.needsSecondRoundOnly || !job.rules.contains($0.rule) })
    {
      flushes.job?.passedAt = now.monotonic
      return beginSecondRound(job)
    }
    askIfNeeded()
  }

  // MARK: Scanning

  /// Asks the target for the next page, when it is time.
  mutating func scanNext(_ target: Int) {
    guard let job = flushes.job, job.phase == .scanning, mayScan(target) else { return }
    let scan = job.scans[target]
    guard !scan.isBusy, !scan.isDone, scan.nextPageAt <= now.monotonic else { return }
    guard scan.stage < job.stages.count else { return scanEnded(target) }
    flushes.job?.scans[target].isBusy = true
    let request = FlushPage.request(
      job.stages[scan.stage], from: scan.cursor, rate: configuration.flushRate)
    expect(target, [.scan(job: job.number)])
    emit(.sendRedis(target: target, bytes: request))
  }

  /// A batch whose watermark tells of the flush goes first: a history that loses the flush's deletes, and not that
  /// watermark, has the flush open.
  func mayScan(_ target: Int) -> Bool {
    targets[target].link == .ready && targets[target].tipFlushes == flushes.fingerprints
  }

  mutating func scanned(_ target: Int, _ parts: [RedisReply], job number: UInt64) {
    guard let answer = FlushPage(parts) else {
      return fail(target, kind: "protocol", "SCAN answered something else")
    }
    guard let job = flushes.job, job.number == number else { return }
    let page = answer.only(job.stages[job.scans[target].stage])
    flushes.job?.scans[target].cursor = page.cursor
    flushes.job?.scans[target].nextPageAt = now.monotonic + page.cost(rate: configuration.flushRate)
    flushes.job?.scannedKeys += UInt64(page.keys.count)
    guard !page.keys.isEmpty else { return pageEnded(target) }
    expect(target, [.flushDelete(job: number)])
    emit(.sendRedis(target: target, bytes: encoder.deleteCommand(page.keys)))
  }

  mutating func flushDeleted(_ target: Int, _ count: Int64, job number: UInt64) {
    // Whatever Redis says: a count that is too large must not end the daemon.
    statistics.flushedKeys &+= UInt64(max(0, count))
    guard flushes.job?.number == number else { return }
    flushes.job?.deletedKeys &+= UInt64(max(0, count))
    pageEnded(target)
  }

  private mutating func pageEnded(_ target: Int) {
    flushes.job?.scans[target].isBusy = false
    if flushes.job?.scans[target].cursor == FlushPage.start {
      flushes.job?.scans[target].stage += 1
    }
    scanNext(target)
  }

  private mutating func scanEnded(_ target: Int) {
    flushes.job?.scans[target].isDone = true
    guard let job = flushes.job, job.scans.allSatisfy(\.isDone) else { return }
    if job.needsAnotherRound { flushes.job?.passedAt = now.monotonic }
    guard (job.round > 0 && !job.needsAnotherRound) || !needsSecondRound(job) else {
      return beginSecondRound(job)
    }
    statistics.flushes += 1
    report(
      .notice, "flush_done", "flush done: \(job.deletedKeys) keys and leases deleted",
      rule: names(of: job.rules))
    remember(job)
    flushes.finish(fingerprint: fingerprint.rules)
    for target in targets.indices {
      targets[target].needsWatermark = true
      closeSmallBatch(target)
    }
    beginFlushIfNeeded()
  }

  private mutating func remember(_ job: FlushState.Job) {
    for flush in flushes.open where job.rules.contains(flush.rule) {
      let rule = configuration.rules[flush.rule]
      history.add(
        FinishedFlush(
          rule: rule.name, reason: flush.reason, began: now.wall - (now.monotonic - job.beganAt) / 1_000,
          ended: now.wall, patterns: rule.flushPatterns))
    }
  }

  /// A line in the log from time to time while a flush runs.
  mutating func reportFlushProgress() {
    guard let job = flushes.job, job.reportAt <= now.monotonic else { return }
    flushes.job?.reportAt = now.monotonic + FlushState.reportInterval
    let waits = job.blocker.map { "; it waits for " + $0.description } ?? ""
    report(
      .info, "flush_progress",
      "flushing (\(job.phaseName)): \(job.scannedKeys) keys found, \(job.deletedKeys) keys and leases deleted"
        + waits,
      rule: names(of: job.rules))
  }

  // MARK: The second round

  private func needsSecondRound(_ job: FlushState.Job) -> Bool {
    !replicas.isEmpty || secondDeletes.longestDelay(of: job.rules) > 0
  }

  private mutating func beginSecondRound(_ job: FlushState.Job) {
    flushes.beginSecondRound(
      delay: secondDeletes.longestDelay(of: job.rules), hasReplicas: !replicas.isEmpty)
    // What was asked for meanwhile does not wait for a replica.
    beginFlushIfNeeded()
    askIfNeeded()
    continueFlushBehindReplicas()
  }

  /// The primary's WAL ends here, at or after everything that the flush has to cover.
  mutating func walEndArrived(_ end: LSN) {
    guard case .asking = queries.link else { return }
    queryAnswered()
    guard source.phase == .streaming else { return }
    if flushes.job?.phase == .askingWALEnd {
      // No record ends behind a page's header: a replica that has everything stands before it.
      flushes.job?.phase = .waitingForReplicas(end.beforePageHeader)
    }
    askIfNeeded()
    runTimers()
  }

  /// Begins the second round when every replica has come as far as it must and the delay, counted from then, is over.
  mutating func continueFlushBehindReplicas() {
    if let job = flushes.job, case .waitingForReplicas(let goal) = job.phase, replayedByAll >= goal {
      flushes.replicasPassed(notBefore: now.monotonic + secondDeletes.longestDelay(of: job.rules))
    }
    guard let job = flushes.job, job.phase == .waitingForPlainSets, job.notBefore <= now.monotonic else {
      return
    }
    flushes.job?.phase = .scanning
    for target in targets.indices { scanNext(target) }
  }
}
