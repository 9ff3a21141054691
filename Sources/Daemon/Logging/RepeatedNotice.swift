import Invalidation

/// Decides which of many equal notices reach the log: the first of a cause at once, then one in a minute (in a
/// second, for those below a warning) that tells how many were left out.
struct RepeatedNotice {
  enum Verdict: Equatable {
    /// Log it, and say that so many equal ones were left out since the last.
    case log(repeated: Int)
    case leaveOut
  }

  private struct Cause: Hashable {
    var name: String
    var rule: String?
    var severity: Int
  }

  private struct History {
    var lastLogged: ContinuousClock.Instant
    var leftOut = 0
  }

  /// Good news are few, and who has just read of a lost connection wants to read of the new one. Each gap and each loss
  /// of Redis's history is news.
  private static func interval(_ notice: Notice) -> Duration {
    // Somebody asked for it, and waits for the answer.
    if notice.cause == "rules_replaced" { return .zero }
    let isNews = notice.cause.hasPrefix("gap_") || notice.cause == "lineage_break"
    return notice.severity >= .warning && !isNews ? .seconds(60) : .seconds(1)
  }

  /// Causes are few and fixed, rules are not; beyond this many everything is forgotten, and logged once more.
  private static let capacity = 1_024

  private var histories: [Cause: History] = [:]

  mutating func judge(_ notice: Notice, at now: ContinuousClock.Instant) -> Verdict {
    let cause = Cause(name: notice.cause, rule: notice.rule, severity: notice.severity.rawValue)
    let interval = RepeatedNotice.interval(notice)
    if let history = histories[cause], history.lastLogged.duration(to: now) < interval {
      histories[cause]?.leftOut += 1
      return .leaveOut
    }
    let repeated = histories[cause]?.leftOut ?? 0
    if histories.count >= RepeatedNotice.capacity { histories = [:] }
    histories[cause] = History(lastLogged: now)
    return .log(repeated: repeated)
  }
}
