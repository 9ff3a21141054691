import Glibc

/// Standard output, for lines that somebody reads as they come, slowly or not at all.
///
/// It writes no more than its reader takes at once, so that who writes can go on with what must not wait.
struct LineOutput {
  enum Failure: Error, Equatable {
    /// Nobody reads any more.
    case closed
    /// An errno.
    case system(Int32)
  }

  private let fileDescriptor: Int32
  private var bytes: [UInt8] = []

  init(_ fileDescriptor: Int32 = STDOUT_FILENO) { self.fileDescriptor = fileDescriptor }

  /// What waits to be written.
  var byteCount: Int { bytes.count }

  mutating func append(_ line: String) {
    bytes += line.utf8
    bytes.append(UInt8(ascii: "\n"))
  }

  /// Writes all of it. As long as the reader takes nothing `whileBlocked` is called about once a second, with the nanoseconds
  /// since it last took something.
  mutating func write(whileBlocked: (Int64) throws -> Void) throws {
    var written = 0
    var progress = Clock.monotonic()
    while written < bytes.count {
      var descriptor = pollfd(fd: fileDescriptor, events: Int16(POLLOUT), revents: 0)
      let ready = unsafe poll(&descriptor, 1, 1_000)
      guard ready >= 0 || errno == EINTR else { throw Failure.system(errno) }
      if descriptor.revents & Int16(POLLOUT) != 0 {
        written += try writeSome(from: written)
        progress = Clock.monotonic()
      } else if descriptor.revents != 0 {
        throw Failure.closed
      } else {
        try whileBlocked(Clock.monotonic() - progress)
      }
    }
    bytes.removeAll(keepingCapacity: true)
  }

  /// A pipe that is ready has room for PIPE_BUF bytes; more might block.
  private func writeSome(from start: Int) throws -> Int {
    let chunk = bytes[start...].prefix(Int(PIPE_BUF))
    let count = unsafe chunk.withUnsafeBytes { unsafe Glibc.write(fileDescriptor, $0.baseAddress, $0.count) }
    if count >= 0 { return count }
    switch errno {
    case EINTR, EAGAIN: return 0
    case EPIPE: throw Failure.closed
    default: throw Failure.system(errno)
    }
  }
}
