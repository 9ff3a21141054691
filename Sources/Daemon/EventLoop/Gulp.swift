import PostgresSource

/// While much arrives, the replication socket is left alone for some milliseconds at a time, and then read until nothing is left.
/// A walsender with a backlog wakes a reader that waits for it with every message, and pays for that more than for
/// decoding; left alone it fills the socket's buffer instead. Where little arrives there is no backlog, and a pause would
/// only add delay.
struct Gulp {
  /// So many messages a millisecond are much: tens of thousands of small transactions a second.
  private static let enough: Int64 = 64
  /// Of messages of so many bytes on average, what the server pays for each is little beside its bytes, and its own buffer is
  /// full before the pause is over: rows of 2 and 4 KB took 3.7 and 5.6 µs with pauses and 6.1 and 7.0 without them, rows of
  /// 6 KB 9.2 and 8.5.
  private static let large = 5 * 1024
  /// Of so many bytes in one pause the server's own buffer is soon full, and it waits.
  private static let plenty = 768 * 1024
  /// In nanoseconds: what comes so long after a full reading does not belong to it.
  private static let patience: Int64 = 1_000_000

  /// In nanoseconds: how long a pause is, and how long those of a backlog may become, each twice the one before.
  private let shortest: Int64
  private let longest: Int64
  /// A reading that brought so many bytes is followed by another one first.
  private let full: Int
  private(set) var pause: Int64
  /// When the pause ends, on the monotonic clock in nanoseconds; nil when there is none.
  private(set) var end: Int64?
  /// What was read since then.
  private var messages = 0
  private var bytes = 0
  private var since: Int64 = 0
  /// When the last reading was a full one, behind which more is expected.
  private var fullAt: Int64?

  init(over transport: Transport) {
    switch transport {
    // There is room for some 277 small messages (212,992 bytes with the kernel's own for each), which a walsender sends in
    // half a millisecond, to wait then.
    case .unixSocket: (shortest, longest, full) = (250_000, 250_000, .max)
    // One that sends each message singly fills the narrow window in two to three milliseconds; what it sends in the rest of a
    // pause is put together. A window's worth may come a round trip after the one before.
    case .near: (shortest, longest, full) = (4_000_000, 16_000_000, 20 * 1024)
    case .network: (shortest, longest, full) = (1_000_000, 1_000_000, .max)
    }
    pause = shortest
  }

  var isHolding: Bool { end != nil }

  /// So much was read, of changes that were committed a while ago if the stream `isBehind`.
  mutating func read(_ drained: ReplicationConnection.Drained, isBehind: Bool, now: Int64) {
    if let fullAt, now - fullAt > Gulp.patience {
      // Nothing came, so what was read then was the end of a flood.
      (messages, bytes, since) = (0, 0, now)
    }
    fullAt = nil
    messages += drained.messages
    bytes += drained.bytes
    guard drained.exhausted else { return }
    if drained.bytes >= full {
      fullAt = now
      return
    }
    if Int64(messages) * 1_000_000 >= Gulp.enough * pause, bytes < messages * Gulp.large {
      end = now + pause
      pause = isBehind && bytes < Gulp.plenty ? min(2 * pause, longest) : max(pause / 2, shortest)
    } else if now - since >= pause {
      pause = shortest
      since = now
    } else {
      return
    }
    messages = 0
    bytes = 0
  }

  func isOver(at now: Int64) -> Bool { end.map { now >= $0 } ?? false }

  mutating func release() {
    if let end { since = end }
    end = nil
  }
}
