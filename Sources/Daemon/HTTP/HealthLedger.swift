import Invalidation

/// One thing that has to be right: all of them for the daemon to be ready, but for the read replicas.
package struct HealthCheck: Sendable, Equatable {
  package var name: String
  /// Why it is not right; nil when it is.
  package var problem: String?
  /// Since when it is right, or wrong: microseconds since 2000-01-01 00:00 UTC.
  package var since: Int64

  package var isPassing: Bool { problem == nil }
}

/// Remembers since when each check has its state.
struct HealthLedger {
  /// The checks that the Engine reports on, in the order in which an operator wants them.
  private static let names = [
    "source", "publication", "redis", "watermark", "gap", "rules", "barrier", "replicas",
  ]

  private(set) var checks: [HealthCheck] = []

  /// `now` is in microseconds since 2000-01-01 00:00 UTC.
  mutating func update(_ status: EngineStatus, at now: Int64) {
    if checks.isEmpty {
      checks = HealthLedger.names.map { HealthCheck(name: $0, problem: nil, since: now) }
    }
    let wrong = status.notReady + status.degraded
    for reason in wrong where !checks.contains(where: { $0.name == reason.check }) {
      checks.append(HealthCheck(name: reason.check, problem: nil, since: now))
    }
    for index in checks.indices {
      let reasons = wrong.filter { $0.check == checks[index].name }.map(\.message)
      let problem = reasons.isEmpty ? nil : reasons.joined(separator: "; ")
      if (problem == nil) != checks[index].isPassing { checks[index].since = now }
      checks[index].problem = problem
    }
  }
}
