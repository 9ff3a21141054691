import Invalidation

/// What a ready Engine has promised to an audience, for each key the youngest commit that the cache has to include.
struct Promise {
  let audience: Audience
  /// Commits below this index are promised.
  private(set) var count = 0
  /// And these beyond it: an outbox is read in the order in which commits become visible.
  private var taken: Set<Int> = []
  private var floors: [String: Floor] = [:]

  private struct Floor {
    var visible: UInt64
    var end: UInt64
  }

  init(audience: Audience) { self.audience = audience }

  mutating func raise(_ key: String, to commit: Commit, _ visible: UInt64) {
    let floor = floors[key]
    floors[key] = Floor(
      visible: max(floor?.visible ?? 0, visible), end: max(floor?.end ?? 0, commit.endLSN))
  }

  /// What is wrong with a fill; nil when nothing is.
  func violation(by snapshot: Snapshot, _ key: String) -> String? {
    guard audience.judges(snapshot), let floor = floors[key] else { return nil }
    let isFresh = snapshot.replayed.map { $0 >= floor.end } ?? (snapshot.tick > floor.visible)
    if isFresh { return nil }
    return "\(key) was filled from \(snapshot), promised to \(audience) is the commit at \(LSN(floor.end)),"
      + " visible at \(floor.visible)"
  }

  mutating func withdraw() {
    floors = [:]
    count = 0
    taken = []
  }

  /// False when it is promised already.
  mutating func take(_ index: Int) -> Bool {
    guard index >= count, taken.insert(index).inserted else { return false }
    while taken.remove(count) != nil { count += 1 }
    return true
  }
}
