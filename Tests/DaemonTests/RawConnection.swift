import Foundation
import Glibc

@testable import Daemon

/// A plain connection to an HTTP server, for what no HTTP client would send. Its reading blocks a thread of its own, and
/// none that the server needs.
final class RawConnection: Sendable {
  struct Failure: Error {
    var what: String
    var number = errno
  }

  private let descriptor: Int32

  /// Reading and writing give up after `patience` seconds.
  init(to address: ListenAddress, patience: Int = 20, receiveBuffer: Int32? = nil) throws {
    switch address {
    case .tcp(_, let port):
      var name = sockaddr_in()
      name.sin_family = sa_family_t(AF_INET)
      name.sin_port = UInt16(port).bigEndian
      name.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
      descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
      if var receiveBuffer {
        _ = unsafe setsockopt(descriptor, SOL_SOCKET, SO_RCVBUF, &receiveBuffer, 4)
      }
      try connect(&name)
    case .unix(let path):
      var name = sockaddr_un()
      name.sun_family = sa_family_t(AF_UNIX)
      unsafe withUnsafeMutableBytes(of: &name.sun_path) { unsafe $0.copyBytes(from: path.utf8) }
      descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
      try connect(&name)
    }
    var limit = timeval(tv_sec: patience, tv_usec: 0)
    for option in [SO_RCVTIMEO, SO_SNDTIMEO] {
      _ = unsafe setsockopt(descriptor, SOL_SOCKET, option, &limit, socklen_t(MemoryLayout<timeval>.size))
    }
  }

  private func connect<Name>(_ name: inout Name) throws {
    let result = unsafe withUnsafePointer(to: &name) { pointer in
      unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        unsafe Glibc.connect(descriptor, $0, socklen_t(MemoryLayout<Name>.size))
      }
    }
    guard result == 0 else { throw Failure(what: "connect") }
  }

  deinit { close(descriptor) }

  /// False when the server takes no more: it has closed, or does not read.
  @discardableResult
  func send(_ text: String) -> Bool {
    let bytes = Array(text.utf8)
    return unsafe Glibc.send(descriptor, bytes, bytes.count, Int32(MSG_NOSIGNAL)) == bytes.count
  }

  /// What has come when `isEnough` says so, or when the server has closed the connection.
  func receive(until isEnough: @escaping @Sendable (String) -> Bool = { _ in false }) async throws -> String {
    try await onThread { [descriptor] in
      var received: [UInt8] = []
      var chunk = [UInt8](repeating: 0, count: 65_536)
      while !isEnough(String(decoding: received, as: UTF8.self)) {
        let count = unsafe recv(descriptor, &chunk, chunk.count, 0)
        // A reset is an end as well.
        if count == 0 || count < 0 && errno == ECONNRESET { break }
        guard count > 0 else {
          throw Failure(what: "receive, after \(String(decoding: received, as: UTF8.self))")
        }
        received += chunk.prefix(count)
      }
      return String(decoding: received, as: UTF8.self)
    }
  }

  /// Sends and answers with all that comes until the server closes the connection.
  static func answer(from address: ListenAddress, to text: String) async throws -> String {
    let connection = try RawConnection(to: address)
    connection.send(text)
    return try await connection.receive()
  }
}

/// Runs what blocks where no task waits for the thread.
func onThread<Value: Sendable>(_ work: @escaping @Sendable () throws -> Value) async throws -> Value {
  try await withCheckedThrowingContinuation { continuation in
    Thread { continuation.resume(with: Result(catching: work)) }.start()
  }
}
