/// While much arrives, the replication socket is read once a millisecond or so, and then until nothing is left. A walsender
/// with a backlog wakes a reader that waits for it with every message, and pays for that more than for decoding; left
/// alone for a moment it fills the socket's buffer instead. Where little arrives there is no backlog, and a pause would
/// only add delay.
struct Gulp {
  /// So many bytes a millisecond are much: tens of thousands of small transactions a second.
  private static let enough: Int64 = 16 * 1024
  /// Nanoseconds. A Unix socket has room for some 277 small messages (212,992 bytes with the kernel's own for each), which
  /// a walsender sends in half a millisecond, to wait then.
  static let overTCP: Int64 = 1_000_000
  static let overUnixSocket: Int64 = 250_000

  let pause: Int64
  /// When the pause ends, on the monotonic clock in nanoseconds; nil when there is none.
  private(set) var end: Int64?
  /// What was read since then.
  private var bytes = 0
  private var since: Int64 = 0

  init(pause: Int64 = Gulp.overTCP) { self.pause = pause }

  var isHolding: Bool { end != nil }

  /// `count` bytes were read, and nothing is left if it is `exhausted`.
  mutating func read(_ count: Int, exhausted: Bool, now: Int64) {
    bytes += count
    guard exhausted else { return }
    if Int64(bytes) * Gulp.overTCP >= Gulp.enough * pause {
      end = now + pause
      bytes = 0
    } else if now - since >= pause {
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
