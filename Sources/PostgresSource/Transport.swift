import Glibc

/// How a connection's bytes travel, which decides how a backlog is best read from it.
package enum Transport: Sendable {
  case unixSocket
  /// TCP within this machine.
  case loopback
  case network
}

extension LibpqConnection {
  /// Of the host that was reached.
  var transport: Transport {
    if isUnixSocket { return .unixSocket }
    guard let peer = unsafe address(getpeername), let own = unsafe address(getsockname) else {
      return .network
    }
    return peer.isLoopback || peer == own ? .loopback : .network
  }

  /// Makes the window of a loopback connection so small that the server soon finds it closed while nobody reads. What it sends
  /// then is put together, and travels in few packets when somebody does; a window that stays open has each message
  /// travel as a packet of its own, for twice the server's time or more (`Benchmarks/README.md`). Larger than half of the
  /// window that was offered when the connection began, since the kernel sends no less at once. To be called before
  /// much has been received, which would widen it. Over a network it would hold up the stream.
  func narrowWindow() {
    guard transport == .loopback else { return }
    var bytes = LibpqConnection.narrowWindowBytes
    _ = unsafe setsockopt(
      fileDescriptor, SOL_SOCKET, SO_RCVBUF, &bytes, socklen_t(MemoryLayout.size(ofValue: bytes)))
  }

  private static let narrowWindowBytes: Int32 = 40 * 1024

  private typealias NameOfSocket = (
    Int32, UnsafeMutablePointer<sockaddr>?, UnsafeMutablePointer<socklen_t>?
  ) -> Int32

  private func address(_ name: NameOfSocket) -> SocketHost? {
    var storage = sockaddr_storage()
    var length = socklen_t(MemoryLayout<sockaddr_storage>.size)
    let status = unsafe withUnsafeMutablePointer(to: &storage) { pointer in
      unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        unsafe name(fileDescriptor, $0, &length)
      }
    }
    return status == 0 ? SocketHost(storage) : nil
  }
}

/// The host of a socket's address, without its port.
struct SocketHost: Equatable {
  private let bytes: [UInt8]

  /// Nil for a family without hosts.
  init?(_ storage: sockaddr_storage) {
    switch Int32(storage.ss_family) {
    case AF_INET:
      bytes = unsafe withUnsafeBytes(of: storage) { unsafe Array($0[4..<8]) }
    case AF_INET6:
      bytes = unsafe withUnsafeBytes(of: storage) { unsafe Array($0[8..<24]) }
    default: return nil
    }
  }

  var isLoopback: Bool {
    // An IPv4 host may stand in an IPv6 address, as ::ffff:127.0.0.1.
    let mapped = [UInt8](repeating: 0, count: 10) + [0xFF, 0xFF]
    let host = bytes.starts(with: mapped) ? Array(bytes.dropFirst(mapped.count)) : bytes
    return host.count == 4 ? host[0] == 127 : host == [UInt8](repeating: 0, count: 15) + [1]
  }
}
