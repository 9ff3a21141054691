import DequeModule

/// Which transactions, in commit order, have all their keys in batches: from it follows the position that the next
/// batch may carry. Runs of finished transactions share one entry, so its size follows the parked ones.
struct Ledger: Sendable {
  private struct Entry: Sendable {
    var end: LSN
    /// The waiting transaction, or 0 when all its keys are in batches.
    var waiting: UInt64
  }

  private var entries = Deque<Entry>()
  /// The end of the contiguous prefix of finished transactions, as taken by the last `advance`.
  private(set) var position: LSN

  init(position: LSN) { self.position = position }

  /// Enters a transaction, or a keepalive's position, that has no keys outside batches.
  @inline(__always)
  mutating func append(_ end: LSN) {
    if let last = entries.indices.last, entries[last].waiting == 0 {
      entries[last].end = max(entries[last].end, end)
    } else {
      entries.append(Entry(end: end, waiting: 0))
    }
  }

  /// Enters a transaction whose keys wait at the barrier under this number, larger than any before.
  mutating func append(_ end: LSN, waiting: UInt64) {
    entries.append(Entry(end: end, waiting: waiting))
  }

  /// All keys of the waiting transaction are in batches now.
  mutating func finish(waiting number: UInt64) {
    for index in entries.indices where entries[index].waiting == number {
      entries[index].waiting = 0
      return
    }
  }

  /// Whether `advance` would move.
  var canAdvance: Bool {
    guard let first = entries.first, first.waiting == 0 else { return false }
    return first.end > position
  }

  /// Takes the finished prefix out and answers its end: what a batch that closes now may carry.
  mutating func advance() -> LSN {
    while let first = entries.first, first.waiting == 0 {
      position = max(position, first.end)
      entries.removeFirst()
    }
    return position
  }
}
