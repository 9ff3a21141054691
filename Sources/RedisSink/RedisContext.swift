import CHiredis
import Glibc
import Invalidation

/// One redisContext, freed at the end of its life: the only place that touches it.
///
/// hiredis 0.14 connects to the first address a name resolves to, IPv4 before IPv6, and sets TCP_NODELAY.
@safe
struct RedisContext: ~Copyable {
  private let pointer: UnsafeMutablePointer<redisContext>

  @unsafe
  private init(owning pointer: UnsafeMutablePointer<redisContext>) { unsafe self.pointer = pointer }

  /// Begins to connect.
  static func connecting(to endpoint: RedisAddress.Endpoint) throws(RedisFailure) -> RedisContext {
    let started: UnsafeMutablePointer<redisContext>?
    switch endpoint {
    case .tcp(let host, let port): unsafe started = redisConnectNonBlock(host, Int32(port))
    case .unix(let path): unsafe started = redisConnectUnixNonBlock(path)
    }
    guard let pointer = unsafe started else { throw RedisFailure("hiredis is out of memory") }
    let context = unsafe RedisContext(owning: pointer)
    if unsafe pointer.pointee.err != 0 { throw context.failure() }
    // Finds half-open connections within a minute. A help, not a condition: sockets in the file system refuse.
    _ = unsafe redisEnableKeepAlive(pointer)
    unsafe pointer.pointee.err = 0
    return context
  }

  deinit { unsafe redisFree(pointer) }

  var fileDescriptor: Int32 { unsafe pointer.pointee.fd }

  /// To be called when the socket became writable for the first time.
  func finishConnecting() throws(RedisFailure) {
    var error: Int32 = 0
    var size = socklen_t(MemoryLayout<Int32>.size)
    let answer = unsafe getsockopt(fileDescriptor, SOL_SOCKET, SO_ERROR, &error, &size)
    let code = answer == 0 ? error : errno
    guard code == 0 else { throw RedisFailure(unsafe String(cString: strerror(code))) }
  }

  func append(_ bytes: [UInt8]) throws(RedisFailure) {
    let answer = unsafe bytes.withUnsafeBytes { buffer in
      unsafe redisAppendFormattedCommand(
        pointer, buffer.bindMemory(to: CChar.self).baseAddress, buffer.count)
    }
    guard answer == REDIS_OK else { throw failure() }
  }

  /// Writes what the socket takes; whether that was all.
  func write() throws(RedisFailure) -> Bool {
    var done: Int32 = 0
    guard unsafe redisBufferWrite(pointer, &done) == REDIS_OK else { throw failure() }
    return done == 1
  }

  /// Reads what has arrived, 16 KiB at most. Whether there may be more.
  func read() throws(RedisFailure) -> Bool {
    let before = unsafe pointer.pointee.reader.pointee.len
    guard unsafe redisBufferRead(pointer) == REDIS_OK else { throw failure() }
    return unsafe pointer.pointee.reader.pointee.len >= before + 16 * 1024
  }

  /// The next whole reply in the input buffer.
  func nextReply() throws(RedisFailure) -> RedisReply? {
    var object: UnsafeMutableRawPointer?
    guard unsafe redisGetReplyFromReader(pointer, &object) == REDIS_OK else { throw failure() }
    guard let object = unsafe object else { return nil }
    defer { unsafe freeReplyObject(object) }
    return unsafe RedisReply(object.assumingMemoryBound(to: redisReply.self))
  }

  private func failure() -> RedisFailure {
    let text = unsafe withUnsafeBytes(of: &pointer.pointee.errstr) { bytes in
      unsafe String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
    }
    return RedisFailure(text.isEmpty ? "the connection broke" : text)
  }
}

extension RedisReply {
  @unsafe
  fileprivate init(_ reply: UnsafePointer<redisReply>) {
    switch unsafe reply.pointee.type {
    case REDIS_REPLY_INTEGER: self = unsafe .integer(reply.pointee.integer)
    case REDIS_REPLY_NIL: self = .null
    case REDIS_REPLY_STATUS: self = unsafe .status(bytes(of: reply))
    case REDIS_REPLY_ERROR: self = unsafe .error(bytes(of: reply))
    case REDIS_REPLY_ARRAY: self = unsafe .array(elements(of: reply))
    default: self = unsafe .bulk(bytes(of: reply))
    }
  }
}

@unsafe
private func elements(of reply: UnsafePointer<redisReply>) -> [RedisReply] {
  let count = unsafe reply.pointee.elements
  var elements: [RedisReply] = []
  elements.reserveCapacity(count)
  for index in 0..<count {
    // hiredis fills every element of a finished array.
    guard let element = unsafe reply.pointee.element[index] else { continue }
    unsafe elements.append(RedisReply(element))
  }
  return elements
}

@unsafe
private func bytes(of reply: UnsafePointer<redisReply>) -> [UInt8] {
  guard let text = unsafe reply.pointee.str else { return [] }
  return unsafe Array(UnsafeRawBufferPointer(start: text, count: reply.pointee.len))
}
