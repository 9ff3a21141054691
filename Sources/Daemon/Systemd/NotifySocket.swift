import Glibc

/// The datagram socket at which a service manager listens to the services that it started.
///
/// Source: sd_notify(3), "Notes"; unix(7).
final class NotifySocket: Sendable {
  private let descriptor: Int32
  private let path: [UInt8]

  /// `name` is what `$NOTIFY_SOCKET` says: an absolute path, or `@` and the name of an abstract socket. Nil for any
  /// other, and where there is no descriptor left.
  init?(_ name: String) {
    var path = Array(name.utf8)
    guard path.count > 1, path.count < MemoryLayout.size(ofValue: sockaddr_un().sun_path) else { return nil }
    switch path[0] {
    case UInt8(ascii: "/"): path.append(0)
    case UInt8(ascii: "@"): path[0] = 0
    default: return nil
    }
    self.path = path
    descriptor = socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
    guard descriptor >= 0 else { return nil }
  }

  deinit { if descriptor >= 0 { _ = close(descriptor) } }

  /// Sends one datagram, and never waits; false when the other side has no room for it at the moment.
  func send(_ text: String) -> Bool {
    var address = sockaddr_un()
    address.sun_family = sa_family_t(AF_UNIX)
    unsafe withUnsafeMutableBytes(of: &address.sun_path) { unsafe $0.copyBytes(from: path) }
    // The name of an abstract socket ends where the address does.
    let start = MemoryLayout<sockaddr_un>.offset(of: \.sun_path) ?? MemoryLayout<sa_family_t>.size
    let length = socklen_t(start + path.count)
    let flags = Int32(MSG_DONTWAIT | MSG_NOSIGNAL)
    let bytes = Array(text.utf8)
    let sent = unsafe withUnsafePointer(to: &address) { pointer in
      unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        unsafe sendto(descriptor, bytes, bytes.count, flags, $0, length)
      }
    }
    // Whatever else is wrong, sending it again does not mend it.
    return sent >= 0 || errno != EAGAIN
  }
}
