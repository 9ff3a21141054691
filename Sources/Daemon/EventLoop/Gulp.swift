/// While much arrives, the replication socket is read once a millisecond, and then until nothing is left. A walsender
/// with a backlog wakes a reader that waits for it with every message, and pays for that more than for decoding; left
/// alone for a moment it fills the socket's buffer instead. Where little arrives there is no backlog, and a pause would
/// only add delay.
struct Gulp {
  /// So many bytes within a millisecond are much: tens of thousands of small transactions a second.
  private static let enough = 16 * 1024
  private static let pause: Int64 = 1_000_000

  /// When the pause ends, on the monotonic clock in nanoseconds; nil when there is none.
  private(set) var end: Int64?
  /// What was read since then.
  private var bytes = 0
  private var since: Int64 = 0

  var isHolding: Bool { end != nil }

  /// `count` bytes were read, and nothing is left if it is `exhausted`.
  mutating func read(_ count: Int, exhausted: Bool, now: Int64) {
    bytes += count
    guard exhausted else { return }
    if bytes >= Gulp.enough {
      end = now + Gulp.pause
      bytes = 0
    } else if now - since >= Gulp.pause {
      since = now
      bytes = 0
    }
  }

  func isOver(at now: Int64) -> Bool { end.map { now >= $0 } ?? false }

  mutating func release() {
    if let end { since = end }
    end = nil
  }
}
