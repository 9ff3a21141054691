import DequeModule

/// Keys that have to be deleted once more: when every read replica shows the change, or `redelete_after` later for
/// readers that fill by a plain SET (contract 1, 2).
///
/// Keys wait in chunks of what became visible at about the same time, in one lane for each delay, so that a
/// transaction costs its keys and no more.
struct SecondDeletes: Sendable {
  /// Beyond it a flush does their work (contract 5).
  static let memoryLimit = 32 << 20
  /// What becomes visible within this time shares a chunk: 20 ms.
  static let chunkSpan: Int64 = 20_000_000
  static let chunkByteLimit = 64 << 10

  struct Chunk: Sendable {
    var keys = KeyBuffer()
    /// Every member's commit record lies here or before.
    var lastCommit: LSN
    /// The settled position must not pass it: the end of what precedes the first member, or a member of a later chunk.
    var floor: LSN
    var openedAt: Int64
    /// When its last key became visible.
    var visibleAt: Int64
    /// When every replica was seen beyond `lastCommit`; without replicas, when it became visible.
    var passedAt: Int64?
  }

  private struct Lane: Sendable {
    let delay: Int64
    var chunks = Deque<Chunk>()
    /// So many of them, from the first on, have passed.
    var passedCount = 0
  }

  private let waitsForReplicas: Bool
  private var lanes: [Lane] = []
  /// For each rule its lane; -1 for a rule whose keys are deleted once.
  private var laneOfRule: [Int]
  private var pendingByRule: [Int]
  private(set) var keyCount = 0
  private(set) var byteCount = 0

  init(rules: [Rule], hasReplicas: Bool) {
    waitsForReplicas = hasReplicas
    pendingByRule = rules.map { _ in 0 }
    laneOfRule = []
    laneOfRule = rules.map { lane(for: $0) }
  }

  /// -1 for a rule whose keys are deleted once.
  private mutating func lane(for rule: Rule) -> Int {
    guard waitsForReplicas || rule.redeleteAfter != nil else { return -1 }
    let delay = rule.redeleteAfter?.wholeNanoseconds ?? 0
    if let lane = lanes.firstIndex(where: { $0.delay == delay }) { return lane }
    lanes.append(Lane(delay: delay))
    return lanes.count - 1
  }

  /// Goes on with other rules. What waits keeps its delay; keys of rules that are gone are forgotten.
  mutating func replaceRules(_ rules: [Rule], _ mapping: RuleMapping) {
    pendingByRule = rules.map { _ in 0 }
    (keyCount, byteCount) = (0, 0)
    for lane in lanes.indices {
      for index in lanes[lane].chunks.indices {
        lanes[lane].chunks[index].keys.follow(mapping)
        let keys = lanes[lane].chunks[index].keys
        for rule in keys.rules { pendingByRule[Int(rule)] += 1 }
        keyCount += keys.count
        byteCount += keys.byteCount
      }
    }
    lanes.removeAll { $0.chunks.isEmpty }
    laneOfRule = rules.map { lane(for: $0) }
  }

  /// Whether any rule asks for second deletes.
  var isUsed: Bool { !lanes.isEmpty }
  var isOverfull: Bool { byteCount > SecondDeletes.memoryLimit }

  /// The longest delay of these rules, in nanoseconds.
  func longestDelay(of rules: [Int]) -> Int64 {
    rules.map { laneOfRule[$0] < 0 ? 0 : lanes[laneOfRule[$0]].delay }.max() ?? 0
  }

  // MARK: Entering

  /// Takes keys whose first delete is on its way and whose transaction is visible. `preceding` is the end of what the
  /// stream brought before that transaction.
  mutating func add(_ keys: borrowing KeyBuffer, commit: LSN, after preceding: LSN, at time: Int64) {
    for index in 0..<keys.count {
      let rule = Int(keys.rules[index])
      guard laneOfRule[rule] >= 0 else { continue }
      let before = byteCount
      append(keys, index, to: laneOfRule[rule], commit: commit, after: preceding, at: time)
      byteCount = before + keys.range(index).count + KeyBuffer.overhead
      pendingByRule[rule] += 1
      keyCount += 1
    }
  }

  private mutating func append(
    _ keys: borrowing KeyBuffer, _ index: Int, to lane: Int, commit: LSN, after preceding: LSN, at time: Int64
  ) {
    if !hasRoom(lane, at: time) {
      // Chunks pass in order, so that none passes before what the one before it waits for.
      let waited = lanes[lane].chunks.last.flatMap { $0.passedAt == nil ? $0.lastCommit : nil } ?? commit
      lanes[lane].chunks.append(
        Chunk(
          lastCommit: max(commit, waited), floor: preceding, openedAt: time, visibleAt: time, passedAt: nil))
    }
    let last = lanes[lane].chunks.count - 1
    lanes[lane].chunks[last].keys.append(keys, index)
    lanes[lane].chunks[last].visibleAt = time
    if commit > lanes[lane].chunks[last].lastCommit { lanes[lane].chunks[last].lastCommit = commit }
    // Floors ascend, so that the first one is the least.
    lanes[lane].chunks[last].floor = min(lanes[lane].chunks[last].floor, preceding)
    var index = last
    while index > 0, lanes[lane].chunks[index - 1].floor > preceding {
      index -= 1
      lanes[lane].chunks[index].floor = preceding
    }
  }

  private func hasRoom(_ lane: Int, at time: Int64) -> Bool {
    guard let chunk = lanes[lane].chunks.last else { return false }
    return chunk.passedAt == nil && time - chunk.openedAt < SecondDeletes.chunkSpan
      && chunk.keys.bytes.count < SecondDeletes.chunkByteLimit
  }

  // MARK: Waiting

  /// The settled position must not pass it; nil when nothing waits.
  var floor: LSN? { lanes.compactMap { $0.chunks.first?.floor }.min() }

  /// What a replica has to pass so that nothing waits for it; nil when nothing does.
  var awaitedCommit: LSN? {
    guard waitsForReplicas else { return nil }
    return lanes.compactMap { lane in
      lane.chunks.count > lane.passedCount ? lane.chunks.last?.lastCommit : nil
    }.max()
  }

  /// Since when the oldest key waits for a replica.
  var waitingSince: Int64? {
    guard waitsForReplicas else { return nil }
    return lanes.compactMap { lane in
      lane.chunks.count > lane.passedCount ? lane.chunks[lane.passedCount].openedAt : nil
    }.min()
  }

  /// Whether `pass` with this position would move.
  func hasPassed(_ replayed: LSN) -> Bool {
    guard waitsForReplicas else { return false }
    return lanes.contains { lane in
      lane.chunks.count > lane.passedCount && replayed > lane.chunks[lane.passedCount].lastCommit
    }
  }

  /// Every replica has replayed up to here.
  mutating func pass(_ replayed: LSN, at time: Int64) {
    guard waitsForReplicas else { return }
    for lane in lanes.indices {
      while lanes[lane].passedCount < lanes[lane].chunks.count,
        replayed > lanes[lane].chunks[lanes[lane].passedCount].lastCommit
      {
        lanes[lane].chunks[lanes[lane].passedCount].passedAt = time
        lanes[lane].passedCount += 1
      }
    }
  }

  private func dueAt(_ lane: Lane) -> Int64? {
    guard let chunk = lane.chunks.first else { return nil }
    guard waitsForReplicas else { return chunk.visibleAt + lane.delay }
    return chunk.passedAt.map { $0 + lane.delay }
  }

  /// When the next chunk is due; nil when none is, or all wait for a replica.
  var nextDue: Int64? { lanes.compactMap(dueAt).min() }

  // MARK: Leaving

  /// The keys of a chunk that is due, and its lane: to be dropped once they are in batches.
  func due(at time: Int64) -> (lane: Int, keys: KeyBuffer)? {
    for lane in lanes.indices {
      if let due = dueAt(lanes[lane]), due <= time, let chunk = lanes[lane].chunks.first {
        return (lane, chunk.keys)
      }
    }
    return nil
  }

  mutating func dropFirst(of lane: Int) {
    guard let chunk = lanes[lane].chunks.popFirst() else { return }
    if chunk.passedAt != nil { lanes[lane].passedCount -= 1 }
    for rule in chunk.keys.rules { pendingByRule[Int(rule)] -= 1 }
    keyCount -= chunk.keys.count
    byteCount -= chunk.keys.bytes.count + chunk.keys.count * KeyBuffer.overhead
  }

  /// Forgets every key and answers the rules that have one: a flush is to do their work.
  mutating func collapse() -> [Int] {
    let rules = pendingByRule.indices.filter { pendingByRule[$0] > 0 }
    removeAll()
    return rules
  }

  mutating func removeAll() {
    for lane in lanes.indices {
      lanes[lane].chunks.removeAll()
      lanes[lane].passedCount = 0
    }
    for rule in pendingByRule.indices { pendingByRule[rule] = 0 }
    keyCount = 0
    byteCount = 0
  }
}
