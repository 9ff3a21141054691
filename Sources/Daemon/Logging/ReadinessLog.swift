import Invalidation

/// Makes a notice of each change of readiness, and of how long the one before lasted: the first thing that somebody who
/// is woken by an alert looks for.
struct ReadinessLog {
  /// When what is so now began, on the monotonic clock in nanoseconds.
  private var since: Int64
  private var isReady = false
  private var wasEverReady = false

  /// A daemon that starts is not ready, which is no news.
  init(startedAt now: Int64) { since = now }

  /// Nil when nothing has changed. `rules` is the number of those in force.
  mutating func notice(_ status: EngineStatus, rules: Int, now: Int64) -> Notice? {
    guard status.notReady.isEmpty != isReady else { return nil }
    let duration = StatusText.duration(Double(now - since) / 1e9)
    isReady.toggle()
    since = now
    let line = status.line(rules: rules)
    guard isReady else {
      return Notice(.notice, "not_ready", "\(line); it was ready for \(duration)", lsn: status.settled)
    }
    let before = wasEverReady ? "it was not for" : "after"
    wasEverReady = true
    return Notice(.notice, "ready", "\(line); \(before) \(duration)", lsn: status.settled)
  }
}
