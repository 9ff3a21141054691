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

  /// All keys of the waiting transaction are in batches now. Finished neighbours become one, so that the size
  /// stays within twice the waiting ones.
  mutating func finish(waiting number: UInt64) {
    guard let index = find(number) else { return }
    entries[index].waiting = 0
    let next = index + 1
    if next < entries.count, entries[next].waiting == 0 {
      entries[index].end = max(entries[index].end, entries[next].end)
      entries.remove(at: next)
    }
    if index > 0, entries[index - 1].waiting == 0 {
      entries[index - 1].end = max(entries[index - 1].end, entries[index].end)
      entries.remove(at: index)
    }
  }

  var count: Int { entries.count }

  /// The index of the waiting transaction: numbers ascend, and no two finished entries are neighbours.
  private func find(_ number: UInt64) -> Int? {
    var low = 0
    var high = entries.count
    while low < high {
      let middle = (low + high) / 2
      // A finished entry has no number; the one behind it has.
      let probe = entries[middle].waiting == 0 ? middle + 1 : middle
      guard probe < high else {
        high = middle
        continue
      }
      if entries[probe].waiting == number { return probe }
      if entries[probe].waiting < number { low = probe + 1 } else { high = middle }
    }
    return nil
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
