import Foundation
import Synchronization

/// A plain blocking TCP connection to a port of 127.0.0.1. The tests' clients speak the protocols themselves, so
/// that what judges cdcd shares no code with it.
final class LoopbackConnection {
  struct Failure: Error, CustomStringConvertible {
    var description: String
  }

  private let descriptor: Int32
  private var buffer: [UInt8] = []
  private var position = 0

  /// Sending and receiving fail after `timeout`.
  init(port: Int, timeout: Duration) throws {
    descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
    guard descriptor >= 0 else { throw Self.failure("socket") }
    let seconds = timeout.components.seconds
    var limit = timeval(
      tv_sec: Int(seconds), tv_usec: Int(timeout.components.attoseconds / 1_000_000_000_000))
    for option in [SO_RCVTIMEO, SO_SNDTIMEO] {
      _ = unsafe setsockopt(descriptor, SOL_SOCKET, option, &limit, socklen_t(MemoryLayout<timeval>.size))
    }
    var noDelay: Int32 = 1
    _ = unsafe setsockopt(descriptor, Int32(IPPROTO_TCP), TCP_NODELAY, &noDelay, socklen_t(4))
    var address = Self.loopback(port: port)
    let result = unsafe withUnsafePointer(to: &address) { pointer in
      unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        unsafe connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
      }
    }
    // A class whose properties all have values runs deinit when its initializer throws: what is closed here would be
    // closed twice, and the second time it may be somebody else's.
    guard result == 0 else { throw Self.failure("connect to port \(port)") }
  }

  deinit { close(descriptor) }

  func send(_ bytes: [UInt8]) throws {
    var sent = 0
    while sent < bytes.count {
      let count = unsafe bytes.withUnsafeBytes { bytes in
        unsafe Glibc.send(
          descriptor, bytes.baseAddress.map { unsafe $0 + sent }, bytes.count - sent,
          Int32(MSG_NOSIGNAL))
      }
      if count < 0, errno == EINTR { continue }
      guard count > 0 else { throw Self.failure("send") }
      sent += count
    }
  }

  func receiveByte() throws -> UInt8 {
    if position == buffer.count, try !fill() { throw Failure(description: "the connection was closed") }
    defer { position += 1 }
    return buffer[position]
  }

  func receive(count: Int) throws -> [UInt8] {
    var bytes: [UInt8] = []
    bytes.reserveCapacity(count)
    while bytes.count < count {
      if position == buffer.count, try !fill() { throw Failure(description: "the connection was closed") }
      let end = min(buffer.count, position + count - bytes.count)
      bytes += buffer[position..<end]
      position = end
    }
    return bytes
  }

  /// Up to and without the next CR LF.
  func receiveLine() throws -> String {
    var line: [UInt8] = []
    while true {
      let byte = try receiveByte()
      if byte == 10 { break }
      line.append(byte)
    }
    if line.last == 13 { line.removeLast() }
    return String(decoding: line, as: UTF8.self)
  }

  /// Everything until the peer closes.
  func receiveToEnd() throws -> [UInt8] {
    var bytes = Array(buffer[position...])
    position = buffer.count
    while try fill() {
      bytes += buffer
      position = buffer.count
    }
    return bytes
  }

  /// Replaces the consumed buffer; false at the end of the stream.
  private func fill() throws -> Bool {
    var chunk = [UInt8](repeating: 0, count: 65_536)
    while true {
      let count = unsafe chunk.withUnsafeMutableBytes { unsafe recv(descriptor, $0.baseAddress, $0.count, 0) }
      if count < 0, errno == EINTR { continue }
      guard count >= 0 else { throw Self.failure("receive") }
      buffer = Array(chunk.prefix(count))
      position = 0
      return count > 0
    }
  }

  private static let handedOut = Mutex<Set<Int>>([])
  /// Whether this run takes odd ports: of two runs side by side (Tests/run) one takes the odd and one the even.
  private static let takesOddPorts = ProcessInfo.processInfo.environment["TEST_PORTS"] == "odd"

  /// A port on which nothing listens, outside the range from which the kernel takes the ports of clients
  /// (net.ipv4.ip_local_port_range): one inside it may be taken by any connection before a server comes to it, also
  /// while a server is restarted. None is handed out twice in a test run, or by two side by side.
  static func freePort() throws -> Int {
    for _ in 0..<1_000 {
      let port = Int.random(in: 10_000..<16_000) * 2 + (takesOddPorts ? 1 : 0)
      guard handedOut.withLock({ $0.insert(port).inserted }) else { continue }
      if try isFree(port) { return port }
    }
    throw Failure(description: "found no free port on 127.0.0.1")
  }

  private static func isFree(_ port: Int) throws -> Bool {
    let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
    guard descriptor >= 0 else { throw failure("socket") }
    defer { close(descriptor) }
    var address = loopback(port: port)
    let result = unsafe withUnsafePointer(to: &address) { pointer in
      unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        unsafe bind(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
      }
    }
    if result == 0 { return true }
    guard errno == EADDRINUSE else { throw failure("bind") }
    return false
  }

  private static func loopback(port: Int) -> sockaddr_in {
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_port = UInt16(truncatingIfNeeded: port).bigEndian
    address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
    return address
  }

  private static func failure(_ what: String) -> Failure {
    let reason = errno == EAGAIN ? "timed out" : unsafe String(cString: strerror(errno))
    return Failure(description: "\(what): \(reason)")
  }
}
