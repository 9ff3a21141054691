import Invalidation

/// What the event loop tells the service manager of itself. It is told on the loop's own thread, so that a loop that hangs
/// tells nothing, and the watchdog ends it.
struct ServiceReport {
  /// A lag changes all the time, and each change would wake the manager.
  private static let pause: Int64 = 5_000_000_000

  private let manager: ServiceManager
  private var hasBegun = false
  private var fedAt: Int64 = .min / 2
  private var told = ""
  private var toldAt: Int64 = .min / 2
  private var wasReady = false

  init(_ manager: ServiceManager) { self.manager = manager }

  /// When `turn` is to be called again at the latest, on the monotonic clock in nanoseconds.
  var deadline: Int64 { manager.watchdogTime.map { fedAt + $0 / 2 } ?? .max }

  /// To be called in each turn of the loop. The first one is the end of the start: HTTP listens by then, and a server
  /// that is away for hours is no reason to fail it.
  mutating func turn(now: Int64) {
    if !hasBegun {
      hasBegun = true
      manager.tellReady()
    }
    guard now >= deadline else { return }
    fedAt = now
    manager.feedWatchdog()
  }

  /// `status` was published: a change of readiness, and of the reasons against it, is told at once, anything else every few
  /// seconds. `rules` is the number of those in force.
  mutating func tell(_ status: EngineStatus, rules: Int, now: Int64) {
    let isReady = status.notReady.isEmpty
    guard isReady != wasReady || !isReady || now - toldAt >= ServiceReport.pause else { return }
    let line = status.line(rules: rules)
    guard line != told else { return }
    wasReady = isReady
    told = line
    toldAt = now
    manager.tell(status: line)
  }

  /// The rules in force are others now.
  func rulesReplaced() { manager.tellReady() }

  /// The loop is ending.
  mutating func stopping(_ reason: String) {
    manager.tellStopping()
    manager.tell(status: reason)
    told = reason
  }
}
