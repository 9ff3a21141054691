import Foundation
import Synchronization

/// systemd, or whoever else started the daemon and wants to hear how it is. Without one nothing is sent.
///
/// From any thread; nothing waits. What the manager has no room for is sent again before the next word.
///
/// Source: sd_notify(3), sd_watchdog_enabled(3).
package final class ServiceManager: Sendable {
  /// Without a sign of life for this long, in nanoseconds, the manager takes the daemon for hung; nil when it does not
  /// watch.
  let watchdogTime: Int64?
  private let socket: NotifySocket?
  private let unsent = Mutex<[String]>([])

  /// What is kept for a manager that does not listen; it forgets the oldest.
  private static let capacity = 16

  /// Nobody.
  package static let none = ServiceManager(environment: [:], process: 0)

  /// Whoever started this process.
  convenience init() {
    self.init(environment: ProcessInfo.processInfo.environment, process: getpid())
  }

  /// Whoever `environment` names; a watchdog that is meant for another process than `process` is passed over.
  init(environment: [String: String], process: Int32) {
    socket = environment["NOTIFY_SOCKET"].flatMap(NotifySocket.init)
    let isOurs = environment["WATCHDOG_PID"].map { $0 == "\(process)" } ?? true
    let microseconds = environment["WATCHDOG_USEC"].flatMap { Int64($0) } ?? 0
    let isWatching = socket != nil && isOurs && (1..<Int64.max / 1_000).contains(microseconds)
    watchdogTime = isWatching ? microseconds * 1_000 : nil
  }

  /// The start is over, or a reload: the rules were replaced or refused.
  func tellReady() { tell("READY=1") }

  /// The rules file is being read again.
  func tellReloading() {
    // systemd 253 and later wait for the end of the reload that began at this time.
    tell("RELOADING=1\nMONOTONIC_USEC=\(Clock.monotonic() / 1_000)")
  }

  /// The daemon is about to end by itself or because it was told to.
  func tellStopping() { tell("STOPPING=1") }

  /// How it is, in one line for `systemctl status`.
  func tell(status: String) { tell("STATUS=\(LogText.line(status, []))") }

  /// The event loop turns.
  func feedWatchdog() {
    // One that is late says nothing any more.
    if sendUnsent() { _ = socket?.send("WATCHDOG=1") }
  }

  private func tell(_ words: String) {
    guard socket != nil else { return }
    unsent.withLock { unsent in
      if unsent.count == Self.capacity { unsent.removeFirst() }
      unsent.append(words)
    }
    _ = sendUnsent()
  }

  /// Whether nothing is left.
  private func sendUnsent() -> Bool {
    guard let socket else { return false }
    return unsent.withLock { unsent in
      while let words = unsent.first {
        guard socket.send(words) else { return false }
        unsent.removeFirst()
      }
      return true
    }
  }
}
