import Glibc
import Synchronization

/// Lines on their way to standard error, written by a thread of their own: whoever logs, the event loop before all, never
/// waits for a reader that does not read. What comes while too much waits is left out, and counted.
package final class LogQueue: Sendable {
  private struct State {
    var lines: [String] = []
    /// Of the lines, and of those that are being written.
    var bytes = 0
    var leftOut = 0
    /// A thread takes the lines, until there are none.
    var isWriting = false
  }

  /// The bytes that may wait, those that are being written included.
  static let capacity = 1 << 20

  private let state = Mutex(State())
  private let write: @Sendable (String) -> Void

  /// That of the process. At its exit the last lines have a second to be read.
  package static let standardError: LogQueue = {
    _ = atexit { LogQueue.standardError.flush(within: .seconds(1)) }
    return LogQueue(write: StandardError.write)
  }()

  /// `write` may take as long as it likes.
  init(write: @escaping @Sendable (String) -> Void) { self.write = write }

  /// Takes a line, from any thread, and returns at once. `told` is the line that says how many were left out before it.
  package func append(_ line: String, told: (_ leftOut: Int) -> String) {
    let isFirst = state.withLock { state in
      guard state.bytes + line.utf8.count <= LogQueue.capacity else {
        state.leftOut += 1
        return false
      }
      let news = state.leftOut > 0 ? told(state.leftOut) + line : line
      state.leftOut = 0
      state.lines.append(news)
      state.bytes += news.utf8.count
      defer { state.isWriting = true }
      return !state.isWriting
    }
    guard isFirst else { return }
    // Without a thread the line is worth waiting for.
    if startThread({ self.writeAll() }) != nil { writeAll() }
  }

  private func writeAll() {
    var written = 0
    while let lines = take(written) {
      write(lines)
      written = lines.utf8.count
    }
  }

  /// Nil when there is nothing to write any more; so many bytes were written since the last time.
  private func take(_ written: Int) -> String? {
    state.withLock { state in
      state.bytes -= written
      state.isWriting = !state.lines.isEmpty
      defer { state.lines = [] }
      return state.isWriting ? state.lines.joined() : nil
    }
  }

  /// Returns when all is written, or when the time is over.
  func flush(within limit: Duration) {
    let start = ContinuousClock.now
    while state.withLock({ $0.isWriting }), start.duration(to: .now) < limit { Clock.sleep(.milliseconds(1)) }
  }
}
