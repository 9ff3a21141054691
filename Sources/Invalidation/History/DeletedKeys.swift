/// What keys come from, until Redis has deleted them and the history takes them in.
struct KeyOrigin: Sendable, Equatable {
  enum Kind: UInt8, Sendable {
    /// A transaction of the stream: `position` is where its commit record lies, `time` when it was committed.
    case commit
    /// A row of an outbox: `time` is when it was written, and nobody tells its transaction's position.
    case outbox
    /// The second delete of a key; of which transaction is not kept.
    case secondDelete
  }

  // In an order that leaves no holes: the history holds thousands of them.
  var kind: Kind
  /// Redis had acknowledged its deletes before, and lost them.
  var isReplay = false
  var xid: UInt32 = 0
  var position = LSN.zero
  /// Microseconds since 2000.
  var time: Int64 = 0

  static let secondDelete = KeyOrigin(kind: .secondDelete)
}

/// Which keys of a batch come from what: runs, since those of a transaction come together.
struct KeyOrigins: Sendable {
  struct Run: Sendable, Equatable {
    var origin: KeyOrigin
    /// The first key that is not part of it.
    var end: Int
  }

  private(set) var runs: [Run] = []

  /// The batch has grown to so many keys, the last ones of this origin.
  @inline(__always)
  mutating func extend(to count: Int, _ origin: KeyOrigin) {
    if let last = runs.indices.last, runs[last].origin == origin {
      runs[last].end = count
    } else if count > runs.last?.end ?? 0 {
      runs.append(Run(origin: origin, end: count))
    }
  }

  mutating func removeAll() { runs.removeAll(keepingCapacity: true) }

  /// Goes on with other rules, as `KeyBuffer.follow` does; `rules` are those of the keys before.
  mutating func follow(_ mapping: RuleMapping, rules: [UInt32]) {
    var kept = 0
    var index = 0
    for run in runs.indices {
      while index < runs[run].end {
        if mapping(Int(rules[index])) != nil { kept += 1 }
        index += 1
      }
      runs[run].end = kept
    }
  }
}

/// The keys of one batch as they will be remembered.
struct DeletedKeys: Sendable {
  /// A key: sixteen bytes.
  struct Entry: Sendable {
    var hash: UInt64
    /// The place of its origin, or later of its record.
    var origin: UInt32
    /// By the history's own numbers, which other rules do not change.
    var rule: UInt32
  }

  var entries: [Entry] = []
  var origins: [KeyOrigin] = []
  /// The last few keys themselves, with the history's numbers of their rules.
  var latest = KeyBuffer()

  /// What they hold in memory on their way.
  var byteCount: Int {
    entries.count * MemoryLayout<Entry>.stride + origins.count * MemoryLayout<KeyOrigin>.stride
      + latest.byteCount
  }
}
