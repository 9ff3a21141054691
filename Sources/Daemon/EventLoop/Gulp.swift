/// After a lot was read, the replication socket rests until Redis or the query connection has answered, one
/// millisecond at most. A walsender with a backlog is woken for every message a reader takes from it and pays
/// for that more than for decoding; a pause lets it fill the socket's buffer. With little to read there is no
/// backlog, and a pause would only add delay.
struct Gulp {
  private static let enough = 32 * 1024
  private static let longest: Int64 = 1_000_000

  /// When it ends at the latest, on the monotonic clock in nanoseconds; nil when there is none.
  private(set) var end: Int64?

  var isHolding: Bool { end != nil }

  /// `bytes` were read at once; `answerDue` tells that an answer is under way that will end the pause.
  mutating func begin(after bytes: Int, answerDue: Bool, now: Int64) {
    if bytes >= Gulp.enough, answerDue { end = now + Gulp.longest }
  }

  func isOver(at now: Int64) -> Bool { end.map { now >= $0 } ?? false }

  mutating func release() { end = nil }
}
