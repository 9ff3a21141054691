import Foundation
import Synchronization

/// What systemd is to a service: a datagram socket at which it says how it is.
///
/// Source: sd_notify(3), unix(7).
final class NotifyListener: Sendable {
  /// What `$NOTIFY_SOCKET` is to say.
  let name: String
  private let descriptor: Int32
  private let words = Mutex<[String]>([])

  /// In a folder, or as an abstract socket.
  init(in folder: TemporaryFolder, isAbstract: Bool = false) throws {
    name = isAbstract ? "@" + folder.path : folder.file("notify")
    descriptor = socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
    var address = sockaddr_un()
    address.sun_family = sa_family_t(AF_UNIX)
    let path = isAbstract ? [0] + Array(name.utf8.dropFirst()) : Array(name.utf8) + [0]
    unsafe withUnsafeMutableBytes(of: &address.sun_path) { unsafe $0.copyBytes(from: path) }
    let length = socklen_t(MemoryLayout<sa_family_t>.size + path.count)
    let result = unsafe withUnsafePointer(to: &address) { pointer in
      unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { unsafe bind(descriptor, $0, length) }
    }
    guard descriptor >= 0, result == 0 else {
      throw TimedOut(description: "bind \(name): \(unsafe String(cString: strerror(errno)))")
    }
  }

  deinit { close(descriptor) }

  /// What was told so far, one assignment after the other: `READY=1`.
  var told: [String] {
    var buffer = [UInt8](repeating: 0, count: 4_096)
    return words.withLock { words in
      while true {
        let count = unsafe recv(descriptor, &buffer, buffer.count, Int32(MSG_DONTWAIT))
        guard count > 0 else { return words }
        words += String(decoding: buffer[..<count], as: UTF8.self).split(separator: "\n").map(String.init)
      }
    }
  }

  /// Forgets what was told.
  func forget() {
    _ = told
    words.withLock { $0 = [] }
  }

  /// Waits until these were told, one after the other with others between.
  func expect(_ expected: String..., within limit: Duration = .seconds(20)) throws {
    do {
      try eventually(within: limit, "told: \(expected)") {
        var rest = expected[...]
        for word in told { if let next = rest.first, word.hasPrefix(next) { rest.removeFirst() } }
        return rest.isEmpty
      }
    } catch {
      throw TimedOut(description: "\(error); was told \(told)")
    }
  }
}
