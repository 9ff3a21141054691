import Glibc

/// How a connection's bytes travel, which decides how a backlog is best read from it.
package enum Transport: Sendable {
  case unixSocket
  /// TCP within this machine, to one of its containers, or over a network so short that a narrow window holds nothing up.
  case near
  case network
}

extension LibpqConnection {
  /// Finds out how the connection travels, once it is open, and makes the window of a near one narrow. To be called before
  /// much has been received, which would widen the window.
  func settleTransport() -> Transport {
    if isUnixSocket { return .unixSocket }
    guard isNear else { return .network }
    narrowWindow()
    return .near
  }

  private var isNear: Bool {
    if let peer = unsafe address(getpeername), let own = unsafe address(getsockname) {
      if peer.isLoopback || peer == own { return true }
    }
    return roundTrip.map { LibpqConnection.nearRoundTrips.contains($0) } ?? false
  }

  /// Makes the window so small that the server soon finds it closed while nobody reads. What it sends then is put together,
  /// and travels in few packets when somebody does; a window that stays open has each message travel as a packet of its
  /// own where nothing else holds it, for twice the server's time or more (`Benchmarks/README.md`).
  private func narrowWindow() {
    var bytes = LibpqConnection.narrowWindowBytes
    _ = unsafe setsockopt(
      fileDescriptor, SOL_SOCKET, SO_RCVBUF, &bytes, socklen_t(MemoryLayout.size(ofValue: bytes)))
  }

  /// Room for the largest segment, 64 KB on loopback: the server's kernel sends nothing smaller than what it has put together,
  /// or than half of the largest window that was ever offered, but for a part each 0.2 s.
  private static let narrowWindowBytes: Int32 = 80 * 1024

  /// In microseconds. A window's worth each 0.1 ms is 800 MB/s. Nought is what a kernel says that does not know (gVisor).
  private static let nearRoundTrips: ClosedRange<UInt32> = 1...100

  /// The shortest so far, in microseconds, that of the handshake at least: `tcpi_min_rtt` of `struct tcp_info` in the kernel's
  /// linux/tcp.h, of which Glibc's has the beginning only. Nil where the kernel does not tell.
  private var roundTrip: UInt32? {
    let offset = 148
    var info = [UInt8](repeating: 0, count: offset + MemoryLayout<UInt32>.size)
    var length = socklen_t(info.count)
    let status = unsafe getsockopt(fileDescriptor, Int32(IPPROTO_TCP), TCP_INFO, &info, &length)
    guard status == 0, Int(length) == info.count else { return nil }
    return unsafe info.withUnsafeBytes { unsafe $0.loadUnaligned(fromByteOffset: offset, as: UInt32.self) }
  }

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
