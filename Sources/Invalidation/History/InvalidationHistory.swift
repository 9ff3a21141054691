import DequeModule

/// Which keys were deleted last, and why, since the daemon started: what `cdcd why` and the status page tell. A key counts
/// when Redis has acknowledged its delete.
///
/// It remembers hashes of keys and the transactions that they come from, and forgets the oldest beyond `memoryLimit`:
/// up to 60,000 keys of large transactions, 20,000 where each has a transaction of its own. Of the last few keys it has
/// the text as well.
///
/// It is a value. A copy shares the memory of what is full and stays as it is, so that other threads may search it while
/// the Engine goes on.
package struct InvalidationHistory: Sendable {
  /// Bytes; the segment that is being filled comes on top.
  static let memoryLimit = 1 << 20
  private static let segmentKeyLimit = 4_096
  private static let latestLimit = 20
  /// The longest key that is kept as text.
  private static let latestKeyLimit = 200
  private static let flushLimit = 4_096

  private struct Record: Sendable {
    var origin: KeyOrigin
    var acknowledged: Int64
  }

  private struct Segment: Sendable {
    var entries: [DeletedKeys.Entry] = []
    var records: [Record] = []

    /// What is allocated.
    var byteCount: Int {
      entries.capacity * MemoryLayout<DeletedKeys.Entry>.stride
        + records.capacity * MemoryLayout<Record>.stride
    }

    mutating func removeAll() {
      entries.removeAll(keepingCapacity: true)
      records.removeAll(keepingCapacity: true)
    }
  }

  private struct Latest: Sendable {
    var key: [UInt8]
    var isCut: Bool
    var rule: UInt32
    var record: Record
  }

  /// The rule of a number: it keeps its name when the rule is gone.
  private struct NumberedRule: Sendable, Equatable {
    var name: String
    var table: TableName?
  }

  /// The rules in force.
  package private(set) var rules: [Rule]
  /// Every deleted key since then is remembered, in microseconds since 2000.
  package private(set) var completeSince: Int64
  /// `completeSince` is when the daemon started: nothing was forgotten.
  package private(set) var isWhole = true
  /// The last finished flush of each rule, the latest at the end.
  package private(set) var flushes: [FinishedFlush] = []
  private let hash: KeyHash
  private var full = Deque<Segment>()
  private var fullByteCount = 0
  private var filling = Segment()
  private var latest = Deque<Latest>()
  private var known: [NumberedRule] = []
  /// By the place of a rule in force.
  private var numbers: [UInt32] = []

  /// `time` is that of the daemon's start, in microseconds since 2000.
  package init(rules: [Rule] = [], seed: UInt64 = 0, since time: Int64) {
    self.rules = []
    hash = KeyHash(seed: seed)
    completeSince = time
    replaceRules(rules)
  }

  mutating func replaceRules(_ rules: [Rule]) {
    self.rules = rules
    numbers = rules.map { rule in
      let numbered = NumberedRule(name: rule.name, table: rule.table)
      if let number = known.firstIndex(of: numbered) { return UInt32(number) }
      known.append(numbered)
      return UInt32(known.count - 1)
    }
  }

  /// What its segments hold in memory.
  var byteCount: Int { fullByteCount + filling.byteCount }

  // MARK: Writing

  /// The keys of a batch that is being closed, to be given to `add` when Redis has acknowledged it.
  func describe(_ keys: KeyBuffer, _ origins: KeyOrigins) -> DeletedKeys {
    var deleted = DeletedKeys()
    guard !keys.isEmpty else { return deleted }
    deleted.entries.reserveCapacity(keys.count)
    deleted.origins = origins.runs.map(\.origin)
    let bytes = keys.bytes.span
    var index = 0
    for (place, run) in origins.runs.enumerated() {
      while index < run.end {
        deleted.entries.append(
          DeletedKeys.Entry(
            hash: hash(bytes.extracting(keys.range(index))), origin: UInt32(place),
            rule: numbers[Int(keys.rules[index])]))
        index += 1
      }
    }
    for index in keys.count - min(keys.count, Self.latestLimit)..<keys.count {
      deleted.latest.append(keys, index, rule: numbers[Int(keys.rules[index])], upTo: Self.latestKeyLimit + 1)
    }
    return deleted
  }

  /// Redis has acknowledged the deletes, `time` in microseconds since 2000.
  mutating func add(_ deleted: DeletedKeys, at time: Int64) {
    guard !deleted.entries.isEmpty else { return }
    if filling.entries.count + deleted.entries.count > Self.segmentKeyLimit { closeSegment() }
    filling.entries.reserveCapacity(Self.segmentKeyLimit)
    let first = UInt32(filling.records.count)
    for origin in deleted.origins { filling.records.append(Record(origin: origin, acknowledged: time)) }
    for entry in deleted.entries {
      filling.entries.append(
        DeletedKeys.Entry(hash: entry.hash, origin: first + entry.origin, rule: entry.rule))
    }
    keepLatest(deleted, at: time)
  }

  private mutating func keepLatest(_ deleted: DeletedKeys, at time: Int64) {
    let before = deleted.entries.count - deleted.latest.count
    for index in 0..<deleted.latest.count {
      let origin = deleted.origins[Int(deleted.entries[before + index].origin)]
      // What is deleted once more was told of before.
      guard origin.kind != .secondDelete else { continue }
      let key = deleted.latest.bytes[deleted.latest.range(index)]
      if latest.count == Self.latestLimit { latest.removeFirst() }
      latest.append(
        Latest(
          key: Array(key.prefix(Self.latestKeyLimit)), isCut: key.count > Self.latestKeyLimit,
          rule: deleted.latest.rules[index], record: Record(origin: origin, acknowledged: time)))
    }
  }

  /// The memory of the oldest is used again, since to free and allocate it each time would leave holes in the heap.
  private mutating func closeSegment() {
    full.append(filling)
    fullByteCount += filling.byteCount
    filling = Segment()
    while fullByteCount > Self.memoryLimit, let oldest = full.popFirst() {
      fullByteCount -= oldest.byteCount
      completeSince = oldest.records.last?.acknowledged ?? completeSince
      isWhole = false
      filling = oldest
    }
    filling.removeAll()
  }

  /// A flush of the rule has ended.
  mutating func add(_ flush: FinishedFlush) {
    flushes.removeAll { $0.rule == flush.rule }
    if flushes.count == Self.flushLimit { flushes.removeFirst() }
    flushes.append(flush)
  }

  // MARK: Reading

  /// The last delete of this key that is remembered.
  package func lastDeletion(of key: [UInt8]) -> Deletion? {
    let hash = hash(key.span)
    var second: (record: Record, rule: UInt32)?
    var segment = filling
    var older = full[...]
    while true {
      for entry in segment.entries.reversed() where entry.hash == hash {
        let record = segment.records[Int(entry.origin)]
        guard record.origin.kind == .secondDelete else {
          return deletion(record, entry.rule, onceMore: second?.record.acknowledged)
        }
        if second == nil { second = (record, entry.rule) }
      }
      guard let next = older.popLast() else { break }
      segment = next
    }
    return second.map { deletion($0.record, $0.rule, onceMore: nil) }
  }

  /// The last keys of rows and messages, the newest first.
  package var latestDeletions: [LatestDeletion] {
    latest.reversed().map { entry in
      LatestDeletion(
        key: entry.key, isCut: entry.isCut, deletion: deletion(entry.record, entry.rule, onceMore: nil))
    }
  }

  private func deletion(_ record: Record, _ rule: UInt32, onceMore: Int64?) -> Deletion {
    var deletion = Deletion(
      rule: known[Int(rule)].name, table: known[Int(rule)].table, acknowledged: record.acknowledged)
    deletion.onceMore = onceMore
    deletion.isReplay = record.origin.isReplay
    switch record.origin.kind {
    case .commit:
      deletion.cause = .commit(
        xid: record.origin.xid, position: record.origin.position, time: record.origin.time)
    case .outbox: deletion.cause = .outbox(xid: record.origin.xid, time: record.origin.time)
    case .secondDelete: deletion.cause = .secondDelete
    }
    return deletion
  }
}
