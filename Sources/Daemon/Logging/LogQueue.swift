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
    /// The line that says how many were left out.
    var told: (@Sendable (_ leftOut: Int) -> String)?
    /// A thread takes the lines, until there are none.
    var isWriting = false

    mutating func tellOfLeftOut() {
      guard leftOut > 0, let line = told?(leftOut) else { return }
      leftOut = 0
      lines.append(line)
      bytes += line.utf8.count
    }
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

  /// Takes a line, from any thread, and returns at once. `told` makes the line that says how many were left out, for when
  /// somebody reads again.
  package func append(_ line: String, told: @escaping @Sendable (_ leftOut: Int) -> String) {
    let isFirst = state.withLock { state in
      guard state.bytes + line.utf8.count <= LogQueue.capacity else {
        state.leftOut += 1
        state.told = told
        return false
      }
      state.tellOfLeftOut()
      state.lines.append(line)
      state.bytes += line.utf8.count
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
      if state.lines.isEmpty { state.tellOfLeftOut() }
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
