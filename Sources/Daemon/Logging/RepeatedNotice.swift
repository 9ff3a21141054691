import Invalidation

/// Decides which of many equal notices reach the log: the first of a cause at once, then one in a minute (in a
/// second, for those below a warning) that tells how many were left out. So does one when no more have come for that long.
struct RepeatedNotice {
  enum Verdict: Equatable {
    /// Log it, and say that so many equal ones were left out since the last.
    case log(repeated: Int)
    case leaveOut
  }

  /// What was left out and is still to be told.
  struct Repetition: Equatable {
    /// The last of them.
    var notice: Notice
    var count: Int
    /// How long ago that was.
    var age: Duration
  }

  private struct Cause: Hashable {
    var name: String
    var rule: String?
    var severity: Int
  }

  private struct History {
    var lastLogged: ContinuousClock.Instant
    var interval: Duration
    var leftOut: LeftOut?

    func isOver(at now: ContinuousClock.Instant) -> Bool { lastLogged.duration(to: now) >= interval }
  }

  private struct LeftOut {
    var notice: Notice
    var count: Int
    var last: ContinuousClock.Instant
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
    let history = histories[cause]
    let leftOut = history?.leftOut?.count ?? 0
    if let history, !history.isOver(at: now) {
      histories[cause]?.leftOut = LeftOut(notice: notice, count: leftOut + 1, last: now)
      return .leaveOut
    }
    if histories.count >= RepeatedNotice.capacity { histories = [:] }
    histories[cause] = History(lastLogged: now, interval: RepeatedNotice.interval(notice))
    return .log(repeated: leftOut)
  }

  /// What was left out and has waited for its turn, in the order of time; all of it at the end, when there will be no other
  /// turn. To be called about once a second.
  mutating func takeOverdue(at now: ContinuousClock.Instant, isEnd: Bool = false) -> [Repetition] {
    var overdue: [Repetition] = []
    for (cause, history) in histories where isEnd || history.isOver(at: now) {
      guard let leftOut = history.leftOut else {
        histories[cause] = nil
        continue
      }
      histories[cause] = History(lastLogged: now, interval: history.interval)
      overdue.append(
        Repetition(notice: leftOut.notice, count: leftOut.count, age: leftOut.last.duration(to: now)))
    }
    return overdue.sorted { ($1.age, $0.notice.cause) < ($0.age, $1.notice.cause) }
  }
}
