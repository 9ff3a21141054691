import Glibc
import Invalidation
import PostgresSource
import Synchronization

/// Wakes the event loop from any thread, through a pipe that it polls, and tells it what is wanted. (Swift's Glibc has no
/// eventfd.)
final class Wakeup: Sendable {
  /// To be polled for reading; -1 when the process is out of descriptors, and then only `stop` is noticed late.
  let fileDescriptor: Int32
  private let writeEnd: Int32
  private let stop = Atomic<Bool>(false)
  private let replacement = Mutex<RuleReplacement?>(nil)

  init() {
    var ends: [Int32] = [-1, -1]
    _ = unsafe pipe(&ends)
    for end in ends where end >= 0 {
      _ = fcntl(end, F_SETFL, O_NONBLOCK)
      _ = fcntl(end, F_SETFD, FD_CLOEXEC)
    }
    fileDescriptor = ends[0]
    writeEnd = ends[1]
  }

  deinit {
    _ = close(fileDescriptor)
    _ = close(writeEnd)
  }

  func signal() {
    // Fails only when the pipe is full, and then the loop is being woken anyway.
    _ = unsafe write(writeEnd, [UInt8(1)], 1)
  }

  /// Makes the descriptor quiet until the next signal.
  func clear() {
    var bytes = [UInt8](repeating: 0, count: 64)
    while unsafe read(fileDescriptor, &bytes, bytes.count) == bytes.count {}
  }

  func requestStop() {
    stop.store(true, ordering: .releasing)
    signal()
  }

  /// Of several that were not taken the last one counts.
  func request(_ rules: RuleReplacement) {
    replacement.withLock { $0 = rules }
    signal()
  }

  func takeReplacement() -> RuleReplacement? {
    replacement.withLock { replacement in
      defer { replacement = nil }
      return replacement
    }
  }

  var isStopRequested: Bool { stop.load(ordering: .acquiring) }
}

/// Rules that take the place of those in force, and what the server is to be asked for them.
struct RuleReplacement: Sendable {
  var rules: RuleSet
  var source: PostgresSourceConfiguration
}
