import Glibc
package import Invalidation

/// A blocking session for one-shot commands (`cdcd check`): connect, ask, leave.
///
/// Not for the event loop, which never waits: see `RedisConnection`.
package final class RedisSession {
  private let connection: RedisConnection

  /// Connects, logs in and selects the database, within 5 seconds.
  package init(_ address: RedisAddress) throws(RedisFailure) {
    connection = try RedisConnection(address, now: 0)
    let deadline = ContinuousClock.now + RedisSession.patience
    while true {
      try wait(until: deadline)
      if case .connected = try connection.advance() { return }
    }
  }

  /// Sends commands, all at once, and waits for their `count` replies, 5 seconds at most.
  package func replies(to commands: [UInt8], count: Int) throws(RedisFailure) -> [RedisReply] {
    let deadline = ContinuousClock.now + RedisSession.patience
    try connection.append(commands)
    try connection.flush()
    var replies: [RedisReply] = []
    while replies.count < count {
      if let reply = try connection.takeReply() {
        replies.append(reply)
        continue
      }
      try wait(until: deadline)
      _ = try connection.advance()
    }
    return replies
  }

  private static let patience = Duration.seconds(5)

  private func wait(until deadline: ContinuousClock.Instant) throws(RedisFailure) {
    while true {
      let (seconds, attoseconds) = ContinuousClock.now.duration(to: deadline).components
      guard seconds >= 0, attoseconds >= 0 else { throw RedisFailure("no answer within 5 seconds") }
      var descriptor = pollfd(fd: connection.fileDescriptor, events: connection.pollEvents, revents: 0)
      // In milliseconds, rounded up.
      let limit = Int32(seconds * 1_000 + attoseconds / 1_000_000_000_000_000) + 1
      if unsafe poll(&descriptor, 1, limit) > 0 { return }
    }
  }
}
