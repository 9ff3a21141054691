import Invalidation

/// What many worlds went through, to see that the faults reach what they are meant to reach.
struct Tally: CustomStringConvertible {
  private var counts: [(name: String, count: UInt64)] = []

  mutating func add(_ name: String, _ count: UInt64) {
    if let index = counts.firstIndex(where: { $0.name == name }) {
      counts[index].count += count
    } else {
      counts.append((name, count))
    }
  }

  mutating func add(_ statistics: Statistics) {
    add("transactions", statistics.transactions)
    add("keys deleted", statistics.allKeysDeleted)
    add("keys hit", statistics.keysHit)
    add("barrier waits", statistics.barrierWaits)
    add("source reconnects", statistics.sourceReconnects)
    add("redis reconnects", statistics.redisReconnects)
    add("lineage breaks", statistics.lineageBreaks)
    add("replayed transactions", statistics.replayedTransactions)
    add("evicted watermarks", statistics.evictedWatermarks)
    add("flushes", statistics.flushes)
    add("flushed keys", statistics.flushedKeys)
    add("malformed messages", statistics.malformedMessages)
    for gap in statistics.gaps { add("gap " + gap.reason.rawValue, gap.count) }
    for error in statistics.redisErrors { add("redis error " + error.kind, error.count) }
  }

  mutating func add(_ other: Tally) {
    for (name, count) in other.counts { add(name, count) }
  }

  func count(_ name: String) -> UInt64 { counts.first { $0.name == name }?.count ?? 0 }

  var description: String { counts.map { "\($0.name): \($0.count)" }.joined(separator: ", ") }
}
