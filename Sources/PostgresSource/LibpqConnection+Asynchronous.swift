import CLibpq
import Invalidation

/// The functions that never wait. They come after `pollConnect` said connected.
///
/// Source: PostgreSQL manual, chapter 34.4 "Asynchronous Command Processing".
extension LibpqConnection {
  /// What a statement brought.
  enum Answer {
    case rows([[String?]])
    case error(CatalogError)
    /// START_REPLICATION was accepted: both sides send CopyData from here on.
    case copyBoth
  }

  /// Sends a statement by the simple protocol, the only one a walsender speaks. Returns whether some of it
  /// waits for the socket to become writable.
  func send(_ sql: String) throws(CatalogError) -> Bool {
    _ = unsafe PQsetnonblocking(pointer, 1)
    guard unsafe PQsendQuery(pointer, sql) == 1 else { throw brokenConnection() }
    return try flush()
  }

  /// Writes what waits. Returns whether some still waits. When the socket is full libpq also READS, so its
  /// buffer may hold input afterwards that poll(2) does not tell of.
  func flush() throws(CatalogError) -> Bool {
    switch unsafe PQflush(pointer) {
    case 0: return false
    case 1: return true
    default: throw brokenConnection()
    }
  }

  /// Reads what has arrived, as far as libpq's buffer has room. False when the connection is broken; what arrived before that
  /// is in the buffer nevertheless.
  func consume() -> Bool {
    guard unsafe PQconsumeInput(pointer) == 0 else { return true }
    // Parses the buffer: the server's last words go to the notice receiver.
    _ = unsafe PQisBusy(pointer)
    return false
  }

  /// The next result of the statement sent: nil when its end has been reached. To be asked for while `isBusy`
  /// is false.
  func nextResult() -> LibpqResult? {
    guard let result = unsafe PQgetResult(pointer) else { return nil }
    return unsafe LibpqResult(owning: result)
  }

  /// Whether asking for the next result would wait.
  var isBusy: Bool { unsafe PQisBusy(pointer) == 1 }

  /// What ended a CopyBoth stream. Nil when the server ended it in good order, as it does when it shuts down.
  func endOfCopy() -> CatalogError? {
    guard !isBusy, let result = nextResult() else { return brokenConnection() }
    return result.isError ? result.error : nil
  }

  /// Takes a notification out of libpq's buffer; false when there is none.
  func takeNotification() -> Bool {
    guard let notification = unsafe PQnotifies(pointer) else { return false }
    unsafe PQfreemem(notification)
    return true
  }

  /// What PQgetCopyData said.
  enum CopyStep {
    case message, nothing, end
  }

  /// Takes the next whole CopyData message out of libpq's buffer, gives its payload to `body` and frees it.
  @inline(__always)
  func takeCopyData(_ body: (Span<UInt8>) -> Void) -> CopyStep {
    var payload: UnsafeMutablePointer<CChar>?
    let count = unsafe PQgetCopyData(pointer, &payload, 1)
    guard count > 0, let start = unsafe payload else { return count == 0 ? .nothing : .end }
    unsafe start.withMemoryRebound(to: UInt8.self, capacity: Int(count)) { bytes in
      unsafe body(UnsafeBufferPointer(start: bytes, count: Int(count)).span)
    }
    unsafe PQfreemem(start)
    return .message
  }

  /// Queues one CopyData message. False when the output buffer is full; nothing was queued then.
  func putCopyData(_ payload: [UInt8]) throws(CatalogError) -> Bool {
    let answer = unsafe payload.withUnsafeBytes { bytes in
      unsafe PQputCopyData(pointer, bytes.bindMemory(to: CChar.self).baseAddress, Int32(bytes.count))
    }
    switch answer {
    case 1: return true
    case 0: return false
    default: throw brokenConnection()
    }
  }
}
