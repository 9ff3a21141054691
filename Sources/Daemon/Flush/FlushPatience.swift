/// How `cdcd flush` waits: for a server that is away so long and no longer, and never when somebody interrupts it.
struct FlushPatience {
  private let limit: Duration
  private let isInterrupted: () -> Bool
  private let report: (KeyFlush.Report) -> Void
  private var failure: (began: ContinuousClock.Instant, last: ContinuousClock.Instant)?
  private var answeredAt = ContinuousClock.now
  private var toldReasons: Set<String> = []

  init(
    _ limit: Duration, isInterrupted: @escaping () -> Bool, report: @escaping (KeyFlush.Report) -> Void
  ) {
    self.limit = limit
    self.isInterrupted = isInterrupted
    self.report = report
  }

  func tell(_ progress: FlushProgress) { report(.walking(progress)) }

  func tell(waitingFor what: String, _ state: String = "") { report(.waiting(for: what, state: state)) }

  func tell(retrying reason: String) { report(.retrying(reason)) }

  func throwIfInterrupted() throws(FlushEnding) {
    if isInterrupted() { throw .interrupted }
  }

  /// A server failed, or what it does is not enough: returns after a pause in which it may recover, and throws when the
  /// limit has passed since the first of such failures in a row.
  mutating func failed(_ reason: String, isNews: Bool = true) throws(FlushEnding) {
    let now = ContinuousClock.now
    // What went well so long after the last failure has recovered in between.
    if let failure, failure.last.duration(to: answeredAt) > limit { self.failure = nil }
    let began = failure?.began ?? now
    failure = (began, now)
    guard began.duration(to: now) < limit else { throw .unreachable(reason) }
    if isNews, toldReasons.insert(reason).inserted { report(.retrying(reason)) }
    try sleep(until: now + pause)
  }

  /// A server has answered: it is there, and may still refuse what matters.
  mutating func answered() { answeredAt = .now }

  /// Something went on.
  mutating func succeeded() { failure = nil }

  private let pause = Duration.milliseconds(250)

  /// Sleeps, and wakes up to see whether somebody interrupts.
  func sleep(until end: ContinuousClock.Instant) throws(FlushEnding) {
    while true {
      try throwIfInterrupted()
      let rest = ContinuousClock.now.duration(to: end)
      guard rest > .zero else { return }
      Clock.sleep(min(rest, .milliseconds(50)))
    }
  }
}

/// Why a flush does not come to its end.
enum FlushEnding: Error, Sendable {
  case interrupted
  case unreachable(String)
  case refused([Finding])
}
