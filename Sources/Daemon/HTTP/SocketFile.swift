import Glibc

/// The file of a Unix domain socket.
///
/// Sources: unix(7), connect(2).
enum SocketFile {
  /// What is at the path, where one is to listen.
  enum Occupant: Equatable {
    case nobody
    /// The socket of a process that has gone without removing it.
    case stale
    /// Somebody listens.
    case live
    /// No socket.
    case other
  }

  static func occupant(of path: String) -> Occupant {
    var status = stat()
    guard unsafe lstat(path, &status) == 0 else { return .nobody }
    guard status.st_mode & S_IFMT == S_IFSOCK else { return .other }
    return isRefused(path) ? .stale : .live
  }

  /// Only the kernel's word that nobody listens counts: a full backlog, or a right that is missing, is somebody's.
  private static func isRefused(_ path: String) -> Bool {
    let descriptor = socket(
      AF_UNIX, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue | SOCK_NONBLOCK.rawValue), 0)
    guard descriptor >= 0 else { return false }
    defer { close(descriptor) }
    var address = sockaddr_un()
    address.sun_family = sa_family_t(AF_UNIX)
    unsafe withUnsafeMutableBytes(of: &address.sun_path) {
      unsafe $0.copyBytes(from: path.utf8.prefix($0.count - 1))
    }
    let result = unsafe withUnsafePointer(to: &address) { pointer in
      unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        unsafe connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
      }
    }
    return result != 0 && errno == ECONNREFUSED
  }

  /// Its owner and its group may connect, nobody else. What is wrong, or nil.
  static func admitGroup(to path: String) -> String? {
    guard unsafe chmod(path, 0o660) != 0 else { return nil }
    return unsafe "the mode of \(path) cannot be set: \(String(cString: strerror(errno)))"
  }

  static func remove(_ path: String) { _ = unsafe unlink(path) }
}
