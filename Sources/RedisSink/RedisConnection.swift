import Glibc
package import Invalidation

/// One connection to a Redis server that never waits, driven by poll(2).
///
/// connecting -> introducing (AUTH, SELECT, CLIENT SETNAME) -> open
package final class RedisConnection {
  package enum Step {
    case pending
    /// Authenticated, database selected. Once.
    case connected
  }

  private enum State {
    case connecting
    /// The answers that are still missing, in order.
    case introducing(ArraySlice<Introduction>)
    case open
  }

  private let context: RedisContext
  private let address: RedisAddress
  private var state = State.connecting
  /// Bytes are in the output buffer that the socket has not taken.
  private var hasOutput = false
  /// The last reading filled its buffer.
  private var hasMoreInput = false
  /// Reading failed; the replies that arrived before are still to be taken.
  private var broken: RedisFailure?
  /// When connecting has to be done, on the monotonic clock in nanoseconds; nil afterwards.
  package private(set) var deadline: Int64?

  /// Begins to connect without waiting, but for the name's resolution. All of it has five seconds. `now` is in
  /// nanoseconds of the monotonic clock.
  package init(_ address: RedisAddress, now: Int64) throws(RedisFailure) {
    self.address = address
    context = try RedisContext.connecting(to: address.endpoint)
    deadline = now + 5_000_000_000
  }

  package var fileDescriptor: Int32 { context.fileDescriptor }

  /// For poll(2).
  package var pollEvents: Int16 {
    if case .connecting = state { return Int16(POLLOUT) }
    return Int16(POLLIN) | (hasOutput ? Int16(POLLOUT) : 0)
  }

  /// The failure to report when `deadline` has passed.
  package var timeout: RedisFailure { RedisFailure("no answer within 5 seconds of connecting") }

  /// Appends complete RESP commands to the output buffer; `flush` writes them.
  package func append(_ bytes: [UInt8]) throws(RedisFailure) {
    try context.append(bytes)
    hasOutput = true
  }

  /// Writes what the socket takes.
  package func flush() throws(RedisFailure) {
    if case .connecting = state { return }
    if hasOutput { hasOutput = try !context.write() }
  }

  /// To be called when the socket is ready: goes on connecting, or reads and writes. `takeReply` then gives what
  /// has arrived.
  package func advance() throws(RedisFailure) -> Step {
    switch state {
    case .connecting:
      try context.finishConnecting()
      try introduce()
      return .pending
    case .introducing: return try readIntroduction()
    case .open:
      receive()
      // The reason of a failure may be among the replies: these are taken first.
      if broken == nil { try flush() }
      return .pending
    }
  }

  /// The next reply that has arrived, in the order of the commands; nil when there is none. A connection that
  /// broke throws after the last reply.
  package func takeReply() throws(RedisFailure) -> RedisReply? {
    while true {
      if let reply = try context.nextReply() { return reply }
      if let broken { throw broken }
      guard hasMoreInput else { return nil }
      receive()
    }
  }

  /// Reads 16 KiB at most. `takeReply` reads on when these are used up: hiredis moves what is left in its buffer
  /// with every kilobyte taken out, so the buffer is kept small.
  package func receive() {
    do throws(RedisFailure) {
      hasMoreInput = try context.read()
    } catch {
      hasMoreInput = false
      broken = error
    }
  }

  private func introduce() throws(RedisFailure) {
    let steps = Introduction.steps(for: address)
    state = .introducing(steps[...])
    for step in steps { try append(step.command(address)) }
    try flush()
  }

  private func readIntroduction() throws(RedisFailure) -> Step {
    guard case .introducing(var missing) = state else { return .pending }
    receive()
    while let step = missing.first, let reply = try takeReply() {
      if case .error(let text) = reply, let failure = step.failure(text, address) { throw failure }
      missing.removeFirst()
    }
    guard missing.isEmpty else {
      state = .introducing(missing)
      try flush()
      return .pending
    }
    state = .open
    deadline = nil
    return .connected
  }
}
