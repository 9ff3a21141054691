/// A flush that somebody asks for (`cdcd flush`): one walk over the keys of one Redis, as the Engine's own flushes walk
/// (`Engine+Flush`), without its barrier and its watermark.
///
/// Every command has one reply, and the next one follows the reply: whoever drives it sends and receives, one by one.
package struct RequestedFlush: Sendable {
  package enum Step: Sendable, Equatable {
    /// To be sent; its reply goes to `receive`.
    case send([UInt8])
    /// Nothing before this moment, in nanoseconds of the monotonic clock.
    case wait(until: Int64)
    case finished
  }

  /// Redis did not do what it was asked. Nothing but `restart` goes on from there.
  package struct Refusal: Error, Sendable, Equatable {
    /// As an ACL names it: `unlink`.
    package var command: String
    /// The glob of the keys concerned; nil when there are none.
    package var pattern: String?
    /// The error reply.
    package var text: [UInt8]
  }

  /// What was found and deleted so far.
  package struct Counts: Sendable, Equatable {
    package var foundKeys: UInt64 = 0
    package var foundLeases: UInt64 = 0
    package var deletedKeys: UInt64 = 0
    package var deletedLeases: UInt64 = 0
    package init() {}
  }

  private enum State {
    case walking
    case asking
    case found([[UInt8]])
    /// Keys, of which this is the first.
    case deleting([UInt8])
  }

  package let stages: [FlushStage]
  /// For each glob of each stage how many keys it covered, as far as a walk that only counts has come. A key that several
  /// cover counts with each.
  package private(set) var foundByGlob: [[UInt64]]
  package private(set) var counts = Counts()
  private let encoder: BatchEncoder
  private let rate: Int
  private let deletes: Bool
  private var state = State.walking
  private var stage = 0
  private var cursor = FlushPage.start
  private var nextPageAt: Int64 = 0

  /// Of these rules, each of which has to have a pattern. `rate` is the most keys that it deletes in a second; without
  /// `deletes` it only counts.
  package init(
    of indices: [Int], in rules: [Rule], command: EngineConfiguration.DeleteCommand, leases: Bool, rate: Int,
    deletes: Bool
  ) {
    stages = FlushStage.all(of: indices, in: rules, leases: leases)
    foundByGlob = stages.map { Array(repeating: 0, count: $0.globs.count) }
    encoder = BatchEncoder(command: command, leases: leases)
    self.rate = rate
    self.deletes = deletes
  }

  /// The stage that is being walked; nil at the end.
  package var current: FlushStage? { stage < stages.count ? stages[stage] : nil }

  /// What to do now, in nanoseconds of the monotonic clock. While a reply is awaited it is not to be asked.
  package mutating func next(at now: Int64) -> Step {
    if case .found(let keys) = state {
      state = .deleting(keys[0])
      return .send(encoder.deleteCommand(keys))
    }
    guard let current else { return .finished }
    guard nextPageAt <= now else { return .wait(until: nextPageAt) }
    state = .asking
    nextPageAt = now
    return .send(FlushPage.request(current, from: cursor, rate: rate))
  }

  package mutating func receive(_ reply: RedisReply) throws(Refusal) {
    switch (state, reply) {
    case (.asking, .array(let parts)):
      guard let current, let page = FlushPage(parts) else {
        throw refusal(Array("SCAN answered something else".utf8))
      }
      receive(page.only(current), of: current)
    case (.deleting, .integer(let count)):
      if current?.isLease == true {
        counts.deletedLeases &+= UInt64(max(0, count))
      } else {
        counts.deletedKeys &+= UInt64(max(0, count))
      }
      pageEnded()
    case (_, .error(let text)): throw refusal(text)
    default: throw refusal(Array("a reply of an unexpected kind".utf8))
    }
  }

  private mutating func receive(_ page: FlushPage, of current: FlushStage) {
    cursor = page.cursor
    if current.isLease {
      counts.foundLeases += UInt64(page.keys.count)
    } else {
      counts.foundKeys += UInt64(page.keys.count { !isCountedAsLease($0) })
    }
    nextPageAt += deletes ? page.cost(rate: rate) : FlushPage.leastCost
    guard deletes else {
      for key in page.keys {
        for glob in current.globs(covering: key) { foundByGlob[stage][glob] += 1 }
      }
      return pageEnded()
    }
    guard !page.keys.isEmpty else { return pageEnded() }
    state = .found(page.keys)
  }

  /// A glob of values may cover leases, which are there still when nothing is deleted.
  private func isCountedAsLease(_ key: [UInt8]) -> Bool {
    !deletes && stages.contains { $0.isLease && !$0.globs(covering: key).isEmpty }
  }

  private mutating func pageEnded() {
    state = .walking
    if cursor == FlushPage.start { stage += 1 }
  }

  private func refusal(_ text: [UInt8]) -> Refusal {
    var glob: String?
    var command = "scan"
    if case .deleting(let key) = state, let current {
      command = encoder.command.rawValue
      glob = current.globs(covering: key).first.map { String(decoding: current.globs[$0], as: UTF8.self) }
    }
    return Refusal(command: command, pattern: glob, text: text)
  }

  /// The connection, or the history of what Redis holds, is another one, where the cursor means nothing: begins anew.
  package mutating func restart() {
    state = .walking
    stage = 0
    cursor = FlushPage.start
    foundByGlob = stages.map { Array(repeating: 0, count: $0.globs.count) }
    // What was deleted stays deleted; who only counts counts anew.
    if !deletes { counts = Counts() }
  }

  /// How much of the walk is done, from 0 to 1.
  package var fraction: Double {
    guard stage < stages.count else { return 1 }
    return (Double(stage) + RequestedFlush.fraction(ofCursor: cursor)) / Double(stages.count)
  }

  /// SCAN counts through the buckets of the hash table from the highest bit down: the cursor's first bit says whether the
  /// first half is done, its second one whether the next quarter is, however large the table is.
  ///
  /// Source: `dictScan` in Redis's dict.c.
  static func fraction(ofCursor cursor: [UInt8]) -> Double {
    var rest = UInt64(String(decoding: cursor, as: UTF8.self)) ?? 0
    var fraction = 0.0
    var weight = 0.5
    while rest > 0 {
      if rest & 1 == 1 { fraction += weight }
      rest >>= 1
      weight /= 2
    }
    return fraction
  }
}
