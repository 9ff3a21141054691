/// A closed batch: one MULTI that deletes keys and moves the watermark, kept until it is acknowledged.
struct Batch: Sendable {
  var bytes: [UInt8]
  /// The delete commands inside `bytes`, which work on their own as well.
  var deletes: Range<Int>
  /// None, one, or two with leases.
  var deleteCommands: Int
  /// The replies of EXEC, one for each command between MULTI and EXEC.
  var queuedCommands: Int
  /// The watermark that the batch replaces, and the one it writes.
  var previous: [UInt8]
  var value: [UInt8]
  /// The positions that `value` carries.
  var applied: LSN
  var settled: LSN
  /// `value` tells of a flush that is open, or no longer of one that `previous` told of.
  var tellsOfFlush: Bool
  var endsFlush: Bool
  var keyCount: Int
  /// Keys by rule, runs of the same rule together.
  var ruleCounts: [RuleCount]
  /// The commit times of the transactions whose last key is in the batch.
  var commitTimes: [Int64]
  /// What the history is told of when the batch is acknowledged.
  var deleted = DeletedKeys()

  struct RuleCount: Sendable, Equatable {
    var rule: UInt32
    var count: Int
  }

  /// What it holds in memory until it is acknowledged.
  var byteCount: Int { bytes.count + deleted.byteCount }
}

/// Makes batches, for one target.
struct BatchEncoder: Sendable {
  /// Moves the watermark only if it still has the value that this batch builds on; answers the old value
  /// (contract 3).
  static let compareAndSet: StaticString = """
    local v=redis.call('GET',KEYS[1]) or ''; if v==ARGV[1] then redis.call('SET',KEYS[1],ARGV[2]) end; return v
    """

  /// The same for the batch that ends a flush, only on the history (`master_replid`) whose keys the flush has walked: its
  /// deletes leave no trace in the chain of watermarks, and a failover may have lost them beneath a connection that
  /// stands, behind a proxy or where a server is demoted and promoted again.
  static let compareAndSetOnHistory: StaticString = """
    if not string.find(redis.call('INFO','replication'),'master_replid:'..ARGV[3],1,true) then return 'other history' end; \
    local v=redis.call('GET',KEYS[1]) or ''; if v==ARGV[1] then redis.call('SET',KEYS[1],ARGV[2]) end; return v
    """

  var command: EngineConfiguration.DeleteCommand
  var leases: Bool

  /// `ruleSet` is written to its key in the same MULTI when it is not nil. `onHistory` is the `master_replid` that Redis
  /// must still have when the batch ends a flush.
  func batch(
    _ keys: KeyBuffer, watermarkKeys: WatermarkKeys, previous: [UInt8], value: [UInt8], applied: LSN,
    settled: LSN, commitTimes: [Int64], ruleSet: [UInt8]?, onHistory: String? = nil,
    tellsOfFlush: Bool = false
  ) -> Batch {
    var writer = CommandWriter(
      capacity: 2 * keys.bytes.count + keys.count
        * (LeaseKey.overhead + 2 * OutputSpan<UInt8>.argumentOverhead) + 1_024)
    writer.begin(argumentCount: 1)
    writer.argument("MULTI")
    let start = writer.bytes.count
    writeDeletes(keys, to: &writer)
    let end = writer.bytes.count
    if let ruleSet { writer.command([Array("SET".utf8), watermarkKeys.rules, ruleSet]) }
    BatchEncoder.writeCompareAndSet(watermarkKeys, previous, value, onHistory: onHistory, to: &writer)
    writer.begin(argumentCount: 1)
    writer.argument("EXEC")
    let deleteCommands = keys.isEmpty ? 0 : (leases ? 2 : 1)
    return Batch(
      bytes: writer.bytes, deletes: start..<end, deleteCommands: deleteCommands,
      queuedCommands: deleteCommands + (ruleSet == nil ? 1 : 2), previous: previous, value: value,
      applied: applied, settled: settled, tellsOfFlush: tellsOfFlush, endsFlush: onHistory != nil,
      keyCount: keys.count,
      ruleCounts: ruleCounts(keys),
      commitTimes: commitTimes)
  }

  /// Leases first, then the keys: the other order is unsafe (contract 2).
  private func writeDeletes(_ keys: KeyBuffer, to writer: inout CommandWriter) {
    guard !keys.isEmpty else { return }
    let bytes = keys.bytes.span
    let limit = keys.bytes.count + keys.count * (LeaseKey.overhead + OutputSpan<UInt8>.argumentOverhead)
    if leases {
      beginDelete(keys.count, &writer)
      writer.write(atMost: limit) { output in
        for index in 0..<keys.count { LeaseKey.write(bytes.extracting(keys.range(index)), to: &output) }
      }
    }
    beginDelete(keys.count, &writer)
    writer.write(atMost: limit) { output in
      for index in 0..<keys.count {
        let key = bytes.extracting(keys.range(index))
        output.beginArgument(length: key.count)
        output.append(key)
        output.endLine()
      }
    }
  }

  private func beginDelete(_ count: Int, _ writer: inout CommandWriter) {
    writer.begin(argumentCount: count + 1)
    switch command {
    case .unlink: writer.argument("UNLINK")
    case .del: writer.argument("DEL")
    }
  }

  static func writeCompareAndSet(
    _ keys: WatermarkKeys, _ previous: [UInt8], _ value: [UInt8], onHistory: String? = nil,
    to writer: inout CommandWriter
  ) {
    writer.begin(argumentCount: onHistory == nil ? 6 : 7)
    writer.argument("EVAL")
    writer.argument(onHistory == nil ? compareAndSet : compareAndSetOnHistory)
    writer.argument("1")
    writer.argument(keys.watermark)
    writer.argument(previous)
    writer.argument(value)
    if let onHistory { writer.argument(Array(onHistory.utf8)) }
  }

  private func ruleCounts(_ keys: KeyBuffer) -> [Batch.RuleCount] {
    var counts: [Batch.RuleCount] = []
    for rule in keys.rules {
      if let last = counts.indices.last, counts[last].rule == rule {
        counts[last].count += 1
      } else {
        counts.append(Batch.RuleCount(rule: rule, count: 1))
      }
    }
    return counts
  }

  /// One bare delete of these keys, as a flush sends it.
  func deleteCommand(_ keys: [[UInt8]]) -> [UInt8] {
    var writer = CommandWriter(capacity: keys.reduce(64) { $0 + $1.count + 16 })
    beginDelete(keys.count, &writer)
    keys.forEach { writer.argument($0) }
    return writer.bytes
  }
}
