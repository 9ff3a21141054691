import Glibc
import Synchronization

/// Wakes the event loop from any thread, through an eventfd that it polls.
final class Wakeup: Sendable {
  let fileDescriptor: Int32
  private let stop = Atomic<Bool>(false)

  init() { fileDescriptor = eventfd(0, Int32(EFD_NONBLOCK.rawValue | EFD_CLOEXEC.rawValue)) }

  deinit { _ = close(fileDescriptor) }

  func signal() {
    // Fails only when the counter is full, and then the loop is being woken anyway.
    _ = eventfd_write(fileDescriptor, 1)
  }

  /// Makes the descriptor quiet until the next signal.
  func clear() {
    var count: eventfd_t = 0
    _ = unsafe eventfd_read(fileDescriptor, &count)
  }

  func requestStop() {
    stop.store(true, ordering: .releasing)
    signal()
  }

  var isStopRequested: Bool { stop.load(ordering: .acquiring) }
}
