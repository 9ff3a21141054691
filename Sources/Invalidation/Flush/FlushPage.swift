/// One page of a walk over the keys of a Redis: what SCAN is asked for, what it answered, and what that costs.
///
/// Source: Redis manual, SCAN.
struct FlushPage: Sendable, Equatable {
  /// Where the next page begins; `start` when this was the last one.
  var cursor: [UInt8]
  /// Those that it found.
  var keys: [[UInt8]] = []

  static let start = [UInt8(ascii: "0")]

  /// Nil when it is not what SCAN answers.
  init?(_ parts: [RedisReply]) {
    guard parts.count == 2, case .bulk(let cursor) = parts[0], case .array(let found) = parts[1] else {
      return nil
    }
    self.cursor = cursor
    for case .bulk(let key) in found { keys.append(key) }
  }

  /// The same with no more keys than those of the stage, which are to be deleted.
  func only(_ stage: FlushStage) -> FlushPage {
    var page = self
    page.keys.removeAll { stage.globs(covering: $0).isEmpty }
    return page
  }

  /// `rate` is `flush_rate`, in keys a second.
  static func request(_ stage: FlushStage, from cursor: [UInt8], rate: Int) -> [UInt8] {
    var writer = CommandWriter()
    writer.command([
      Array("SCAN".utf8), cursor, Array("MATCH".utf8), stage.match, Array("COUNT".utf8),
      Array(String(size(rate: rate)).utf8),
    ])
    return writer.bytes
  }

  /// A tenth of a second's worth, so that a slow pace is an even one; within what blocks Redis only shortly.
  private static func size(rate: Int) -> Int { min(1_000, max(10, rate / 10)) }

  /// How long the next page waits, in nanoseconds: a page costs its keys, and a little when it has none, so that a walk
  /// over many others leaves Redis room as well.
  func cost(rate: Int) -> Int64 {
    max(Int64(keys.count) * 1_000_000_000 / Int64(max(1, rate)), FlushPage.leastCost)
  }

  /// Of a page whose keys stay.
  static let leastCost: Int64 = 500_000
}
