import Glibc
package import Invalidation

/// The connection whose walsender streams the slot's changes.
///
/// Source: PostgreSQL manual, chapter 55.4 "Streaming Replication Protocol".
package final class ReplicationConnection {
  /// What one `drain` did.
  package struct Drained {
    package var bytes = 0
    package var messages = 0
    /// Nothing is left, neither in libpq's buffer nor, a moment ago, in the socket's.
    package var exhausted = false

    package init(bytes: Int = 0, messages: Int = 0, exhausted: Bool = false) {
      self.bytes = bytes
      self.messages = messages
      self.exhausted = exhausted
    }
  }

  let session: Session
  /// Of the server it leads to.
  let identity: SystemIdentity
  private var connection: LibpqConnection { session.connection }
  /// Feedback for which the output buffer had no room; a newer one takes its place.
  private var unsent: [UInt8]?
  private var hasOutput = false

  /// libpq's own buffer may hold messages, so that poll(2) on the socket would not tell of them: `drain` before
  /// sleeping.
  package private(set) var mayHoldInput = false

  init(_ session: Session, _ identity: SystemIdentity) {
    self.session = session
    self.identity = identity
    certainRoom = session.transport == .near ? 16 * 1024 : 64 * 1024
  }

  package var fileDescriptor: Int32 { session.fileDescriptor }

  package var transport: Transport { session.transport }

  /// Whether `flush` is to be called when the socket is writable.
  package var wantsWrite: Bool { hasOutput || unsent != nil }

  /// Hands every message that has arrived to the engine, until nothing is left, the engine wants no more, or
  /// `limit` bytes were handed over. PQconsumeInput and PQgetCopyData alternate, since one of the former may leave
  /// something behind, which would starve the TCP window. The clock is read once for each.
  ///
  /// The error tells why the stream ended; all that arrived before was handed over.
  package func drain(
    into engine: inout Engine, limit: Int, clock: () -> Moment
  ) throws(SourceFailure) -> Drained {
    var drained = Drained()
    mayHoldInput = true
    // What libpq already holds comes first, without a system call.
    if try takeMessages(into: &engine, now: clock(), limit: limit, &drained) == .stopped { return drained }
    while true {
      let open = connection.consume()
      let before = drained
      let step = try takeMessages(into: &engine, now: clock(), limit: limit, &drained)
      if !open, step == .empty {
        throw SourceFailure(connection.brokenConnection(), streaming: true, doing: "streaming")
      }
      if step == .stopped { return drained }
      if drained.messages == before.messages { break }
      if !connection.isEncrypted, drained.bytes - before.bytes < certainRoom { break }
    }
    mayHoldInput = false
    drained.exhausted = true
    return drained
  }

  /// What a reading has room for at least, unless a long message is half there (`SourceConnector.widen`), in a socket's
  /// narrow window as well (`narrowWindow`). One that brings less has emptied the socket: to look once more would take the socket's lock from the walsender, and bring the few messages that
  /// have come meanwhile. An encrypted connection may hold more, of which poll(2) does not tell.
  private let certainRoom: Int

  private enum Taken {
    case empty, stopped
  }

  private func takeMessages(
    into engine: inout Engine, now: Moment, limit: Int, _ drained: inout Drained
  ) throws(SourceFailure) -> Taken {
    while engine.wantsInput, drained.bytes < limit {
      var count = 0
      let step = connection.takeCopyData { payload in
        count = payload.count
        engine.receive(payload, now: now)
      }
      switch step {
      case .message:
        drained.bytes += count
        drained.messages += 1
      case .nothing: return .empty
      case .end: throw endOfStream()
      }
    }
    return .stopped
  }

  /// Hands over every message that has arrived, as `drain` does, but to somebody who is no Engine: until nothing is left, or
  /// `body` wants no more.
  package func takeArrived(_ body: (Span<UInt8>) -> Bool) throws(SourceFailure) {
    mayHoldInput = true
    guard try takeHeld(body) else { return }
    while true {
      let isOpen = connection.consume()
      var count = 0
      let wantsMore = try takeHeld { payload in
        count += 1
        return body(payload)
      }
      guard wantsMore else { return }
      if count == 0 {
        guard isOpen else {
          throw SourceFailure(connection.brokenConnection(), streaming: true, doing: "streaming")
        }
        break
      }
    }
    mayHoldInput = false
  }

  /// What libpq's buffer has; false when `body` wanted no more.
  private func takeHeld(_ body: (Span<UInt8>) -> Bool) throws(SourceFailure) -> Bool {
    while true {
      var wantsMore = true
      switch connection.takeCopyData({ wantsMore = body($0) }) {
      case .message: guard wantsMore else { return false }
      case .nothing: return true
      case .end: throw endOfStream()
      }
    }
  }

  private func endOfStream() -> SourceFailure {
    guard let error = connection.endOfCopy() else {
      return SourceFailure(.shuttingDown, "PostgreSQL: the server ended the replication stream")
    }
    return SourceFailure(error, streaming: true, doing: "streaming")
  }

  /// Sends a standby status update without ever waiting; what the socket does not take at once goes with
  /// `flush`. `wall` is in microseconds since 2000-01-01.
  package func send(_ feedback: Feedback, wall: Int64) throws(SourceFailure) {
    unsent = feedback.message(wall: wall)
    try flush()
  }

  package func flush() throws(SourceFailure) {
    do throws(CatalogError) {
      if let message = unsent, try connection.putCopyData(message) { unsent = nil }
      hasOutput = try connection.flush()
      mayHoldInput = true
    } catch {
      throw SourceFailure(error, streaming: true, doing: "sending feedback")
    }
  }
}

extension ReplicationConnection {
  /// Sends START_REPLICATION; `advanceStart` brings the answer.
  package func start(_ configuration: PostgresSourceConfiguration, at position: LSN) throws(SourceFailure) {
    let publications = replicationQuoted(replicationQuoted(configuration.publication, "\""), "'")
    let options =
      configuration.mode == .wal2json
      ? "\"format-version\" '2', \"include-xids\" 'true', \"include-lsn\" 'true', \"include-timestamp\" 'true',"
        + " \"add-msg-prefixes\" 'cdcd.ddl,cdcd'"
      : "proto_version '1', publication_names " + publications + ", messages 'true'"
    try session.ask(
      "START_REPLICATION SLOT " + replicationQuoted(configuration.slot, "\"")
        + " LOGICAL \(position) (\(options))",
      doing: "START_REPLICATION")
  }

  /// What became of START_REPLICATION.
  package enum Start {
    case pending, started
    case failed(SourceFailure)
  }

  /// To be called when the socket is ready and `start` was called.
  package func advanceStart() -> Start {
    switch session.advance() {
    case .pending, .connected: return .pending
    case .broken(let failure): return .failed(failure)
    case .answered(.copyBoth):
      mayHoldInput = true
      return .started
    case .answered(.error(let error)):
      return .failed(SourceFailure(error, streaming: true, doing: "START_REPLICATION"))
    case .answered(.rows):
      return .failed(SourceFailure(.unavailable, "PostgreSQL: START_REPLICATION began no stream"))
    }
  }

  /// For poll(2) until the stream has started.
  package var startPollEvents: Int16 { session.pollEvents }
}

/// Quoted as the replication grammar reads it: marks doubled, backslashes plain.
private func replicationQuoted(_ text: String, _ mark: Character) -> String {
  let parts = text.split(separator: mark, omittingEmptySubsequences: false)
  return String(mark) + parts.joined(separator: String([mark, mark])) + String(mark)
}

extension Feedback {
  /// Standby status update: Byte1('r'), the positions written, flushed and applied, the sender's clock, and
  /// whether to reply at once; 34 bytes, big-endian.
  fileprivate func message(wall: Int64) -> [UInt8] {
    var message: [UInt8] = [UInt8(ascii: "r")]
    message.reserveCapacity(34)
    let numbers = [received.rawValue, confirmed.rawValue, confirmed.rawValue, UInt64(bitPattern: wall)]
    for number in numbers {
      for shift in stride(from: UInt64(56), through: 0, by: -8) {
        message.append(UInt8(truncatingIfNeeded: number >> shift))
      }
    }
    message.append(replyRequested ? 1 : 0)
    return message
  }
}
