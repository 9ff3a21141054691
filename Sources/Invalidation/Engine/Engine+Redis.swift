import DequeModule

extension Engine {
  // MARK: Connections

  mutating func redisConnected(_ target: Int) {
    guard case .connecting = targets[target].link else { return }
    targets[target].link = .idle
    targets[target].isUnbroken = false
    if targets[target].wasReady { statistics.redisReconnects += 1 }
    // While the source is being judged every target is asked; with a chain, at once; else nothing is known to ask.
    if continuity != nil || source.phase == .judging { ask(target) }
  }

  /// Asks who the server is and what it holds.
  mutating func ask(_ target: Int) {
    guard let watermarkKeys else { return }
    var writer = CommandWriter()
    writer.command([Array("INFO".utf8), Array("server".utf8)])
    writer.command([Array("INFO".utf8), Array("replication".utf8)])
    writer.command([Array("GET".utf8), watermarkKeys.watermark])
    writer.command([Array("GET".utf8), watermarkKeys.rules])
    targets[target].link = .asking
    targets[target].found = RedisTarget.Found()
    expect(target, [.serverInformation, .replicationInformation, .watermark, .ruleSet])
    emit(.sendRedis(target: target, bytes: writer.bytes))
  }

  mutating func expect(_ target: Int, _ replies: [RedisTarget.Expectation]) {
    if targets[target].expected.isEmpty { targets[target].progressAt = now.monotonic }
    targets[target].expected.append(contentsOf: replies)
  }

  /// The connection is of no use any more: come back after a while, and go on from what Redis then holds.
  mutating func fail(_ target: Int, kind: String, _ message: String, alreadyClosed: Bool = false) {
    if case .down = targets[target].link { return }
    if !alreadyClosed { emit(.closeRedis(target: target)) }
    let delay = targets[target].backoff.next(&random)
    targets[target].link = .down(retryAt: now.monotonic + delay)
    targets[target].expected.removeAll()
    targets[target].sentCount = 0
    targets[target].isUnbroken = false
    targets[target].deletesOutside = kind == "oom"
    targets[target].lastError = message
    flushes.restartScan(target)
    count(redisError: kind, target)
    statistics.redisRetries += 1
    report(
      Self.onlyPeopleMend.contains(kind) ? .error : .warning, "redis_\(kind)",
      "Redis target \(configuration.targets[target]): \(message)")
  }

  private static let onlyPeopleMend: Set = ["refused", "noauth", "wrongpass", "noperm"]

  private mutating func count(redisError kind: String, _ target: Int) {
    if let index = statistics.redisErrors.firstIndex(where: { $0.target == target && $0.kind == kind }) {
      statistics.redisErrors[index].count += 1
    } else {
      statistics.redisErrors.append(Statistics.RedisErrorCount(target: target, kind: kind, count: 1))
    }
  }

  // MARK: Batches

  /// Closes what has gathered, unless enough is in flight already.
  mutating func closeSmallBatch(_ target: Int) {
    guard targets[target].link == .ready, targets[target].inFlight.count < RedisTarget.pipelineDepth,
      !targets[target].open.isEmpty || targets[target].needsWatermark
    else { return }
    closeBatch(target)
  }

  mutating func closeBatch(_ target: Int) {
    guard continuity != nil, let watermarkKeys else { return }
    let applied = targets[target].ledger.advance()
    let settled = min(applied, secondDeletes.floor ?? applied)
    targets[target].batchNumber += 1
    let endsFlush = targets[target].tipFlushes.contains { !flushes.fingerprints.contains($0) }
    var value = watermarkHead
    value.appendTail(
      batch: targets[target].batchNumber, applied: applied, settled: settled,
      openFlushes: flushes.fingerprints)
    var batch = encoder.batch(
      targets[target].open, watermarkKeys: watermarkKeys, previous: targets[target].tip, value: value,
      applied: applied, settled: settled, commitTimes: targets[target].openCommitTimes,
      ruleSet: targets[target].owesRuleSet ? fingerprint.text : nil,
      onHistory: endsFlush ? targets[target].identity.replication : nil,
      tellsOfFlush: !flushes.fingerprints.isEmpty)
    batch.deleted = history.describe(targets[target].open, targets[target].openOrigins)
    targets[target].owesRuleSet = false
    targets[target].tip = value
    targets[target].dropOpen()
    targets[target].closedAt = now.monotonic
    targets[target].unacknowledgedBytes += batch.byteCount
    targets[target].inFlight.append(batch)
    sendBatches(target)
    guard targets[target].tipFlushes != flushes.fingerprints else { return }
    targets[target].tipFlushes = flushes.fingerprints
    scanNext(target)
  }

  /// Sends every closed batch that is not on the wire.
  mutating func sendBatches(_ target: Int) {
    guard targets[target].link == .ready else { return }
    while targets[target].sentCount < targets[target].inFlight.count {
      let batch = targets[target].inFlight[targets[target].sentCount]
      targets[target].sentCount += 1
      if targets[target].deletesOutside, batch.deleteCommands > 0 {
        expect(target, Array(repeating: .bareDelete, count: batch.deleteCommands))
        emit(.sendRedis(target: target, bytes: Array(batch.bytes[batch.deletes])))
      }
      if targets[target].expected.isEmpty { targets[target].progressAt = now.monotonic }
      targets[target].expected.append(.multi)
      for _ in 0..<batch.queuedCommands { targets[target].expected.append(.queued) }
      targets[target].expected.append(.execution)
      emit(.sendRedis(target: target, bytes: batch.bytes))
    }
  }

  // MARK: Replies

  /// Judges one reply; every one is read (contract 5).
  mutating func redisReplied(_ target: Int, _ reply: RedisReply) {
    guard targets[target].isConnected else { return }
    guard let expectation = targets[target].expected.popFirst() else {
      return fail(target, kind: "protocol", "a reply to nothing that was asked")
    }
    targets[target].progressAt = now.monotonic
    if case .error(let text) = reply {
      if expectation == .multi { targets[target].ranBare = true }
      return fail(target, kind: RedisReply.kind(ofError: text), RedisReply.message(ofError: text))
    }
    switch (expectation, reply) {
    case (.multi, .status), (.queued, .status), (.bareDelete, .integer), (.repair, _): break
    case (.execution, .array(let results)): executed(target, results)
    case (.serverInformation, .bulk(let text)):
      targets[target].found.identity.run = RedisReply.field("run_id", of: text)
    case (.replicationInformation, .bulk(let text)):
      targets[target].found.identity.replication = RedisReply.field("master_replid", of: text)
      targets[target].found.identity.role = RedisReply.field("role", of: text)
    case (.watermark, .bulk(let text)): targets[target].found.watermark = text
    case (.watermark, .null): targets[target].found.watermark = []
    case (.ruleSet, .bulk(let text)):
      targets[target].found.ruleSet = text
      answered(target)
    case (.ruleSet, .null): answered(target)
    case (.scan(let job), .array(let parts)): scanned(target, parts, job: job)
    case (.flushDelete(let job), .integer(let count)): flushDeleted(target, count, job: job)
    default: return fail(target, kind: "protocol", "a reply of an unexpected kind")
    }
    if targets[target].link == .mismatched, targets[target].expected.isEmpty { ask(target) }
  }

  /// All questions are answered.
  private mutating func answered(_ target: Int) {
    guard targets[target].link == .asking else { return }
    let role = targets[target].found.identity.role
    guard role != RedisRole.replica else {
      return fail(
        target, kind: "readonly", RedisRole.replicaProblem + "; " + RedisRole.replicaRemedy)
    }
    targets[target].link = .asked
    if continuity != nil {
      resume(target)
    } else {
      planStart()
    }
  }

  private mutating func executed(_ target: Int, _ results: [RedisReply]) {
    for case .error(let text) in results {
      // The commands behind it ran all the same.
      targets[target].ranBare = true
      return fail(target, kind: RedisReply.kind(ofError: text), RedisReply.message(ofError: text))
    }
    // Behind a mismatch every batch fails as well, until Redis was asked again.
    guard targets[target].link == .ready, let batch = targets[target].inFlight.first else { return }
    guard results.count == batch.queuedCommands, case .bulk(let old)? = results.last else {
      return fail(target, kind: "protocol", "EXEC answered \(results.count) results")
    }
    guard old == batch.previous else {
      targets[target].link = .mismatched
      return
    }
    var hits: Int64 = 0
    if batch.deleteCommands > 0, case .integer(let count) = results[batch.deleteCommands - 1] { hits = count }
    targets[target].sentCount -= 1
    targets[target].wasReady = true
    targets[target].backoff.reset()
    targets[target].deletesOutside = false
    targets[target].ranBare = false
    if targets[target].lastError != nil {
      targets[target].lastError = nil
      report(.notice, "redis_recovered", "Redis target \(configuration.targets[target]) works again")
    }
    acknowledgeFirst(target, hits: hits)
    closeSmallBatch(target)
    advanceOutbox()
    finishDrainingIfSettled()
  }

  /// The oldest batch is in Redis.
  mutating func acknowledgeFirst(_ target: Int, hits: Int64) {
    guard let batch = targets[target].inFlight.popFirst() else { return }
    targets[target].unacknowledgedBytes -= batch.byteCount
    targets[target].applied = batch.applied
    targets[target].timed = max(targets[target].timed, batch.applied)
    targets[target].settled = batch.settled
    targets[target].acknowledgedValue = batch.value
    targets[target].acknowledgedFlush = batch.tellsOfFlush
    for entry in batch.ruleCounts { statistics.keysDeleted[Int(entry.rule)] += UInt64(entry.count) }
    statistics.keysHit += UInt64(min(max(0, hits), Int64(batch.keyCount)))
    for commitTime in batch.commitTimes {
      // From infinity on it took no time that could be counted.
      if let delay = PostgresTimestamp.age(of: commitTime, at: now.wall) {
        statistics.commitToDelete.record(delay)
      }
    }
    history.add(batch.deleted, at: now.wall)
    confirmed.note(settled, at: now.monotonic)
  }
}

extension RedisReply {
  /// The error's code in lower case, `readonly` or `oom`: few and known, so that it may be a metric's label.
  package static func kind(ofError text: [UInt8]) -> String {
    let code = text.prefix { $0 != UInt8(ascii: " ") }
    let known = [
      "READONLY", "LOADING", "MASTERDOWN", "CLUSTERDOWN", "TRYAGAIN", "OOM", "NOAUTH", "WRONGPASS", "NOPERM",
      "MISCONF", "NOREPLICAS", "BUSY", "EXECABORT", "MOVED", "ASK", "WRONGTYPE", "NOSCRIPT",
    ]
    return known.first { $0.utf8.elementsEqual(code) }?.lowercased() ?? "error"
  }

  /// The error for people. Redis repeats the arguments of a command that it does not know, and those are keys.
  package static func message(ofError text: [UInt8]) -> String {
    let text = String(decoding: text, as: UTF8.self)
    return text.firstRange(of: ", with args beginning with").map { String(text[..<$0.lowerBound]) } ?? text
  }

  /// The value of `name:` in the text of INFO, or an empty text.
  package static func field(_ name: String, of text: [UInt8]) -> String {
    for line in text.split(whereSeparator: { $0 == UInt8(ascii: "\r") || $0 == UInt8(ascii: "\n") }) {
      let key = Array((name + ":").utf8)
      if line.starts(with: key) { return String(decoding: line.dropFirst(key.count), as: UTF8.self) }
    }
    return ""
  }
}
