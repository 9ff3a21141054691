/// The flushes that are open, and the one that runs (contract 4).
///
/// A flush runs after a barrier: every transaction that may be invisible to some reader when it was asked for has
/// ended. Then it walks each target's keys twice, leases first, and deletes what matches the rules' patterns. With read
/// replicas, or rules with `redelete_after`, all of that is done once more when every replica has replayed what the
/// barrier stood for, and the longest delay is over.
struct FlushState: Sendable {
  struct Open: Sendable {
    var rule: Int
    var reason: GapReason
    /// Larger than that of any job that began before the request.
    var generation: UInt64
    /// What readers of the primary may have filled is deleted: a second round is all that it needs.
    var isFirstRoundDone = false
    var needsSecondRoundOnly: Bool { isFirstRoundDone || reason.concernsSecondDeletesOnly }
  }

  enum Phase: Sendable, Equatable {
    /// `pg_current_xact_id()` is to be asked for.
    case needsTransaction
    case askingTransaction
    /// Waits until every transaction below this one has ended.
    case waiting(for: UInt64)
    case scanning
    /// Between the rounds: the WAL's end is to be asked for, which every replica has to reach.
    case needsWALEnd
    case askingWALEnd
    case waitingForReplicas(LSN)
    /// Every replica is there; a plain SET may still bring what was read before.
    case waitingForPlainSets
  }

  /// How far one target is.
  struct Scan: Sendable {
    var stage = 0
    var cursor = FlushPage.start
    /// A SCAN or the delete that follows it is under way.
    var isBusy = false
    var nextPageAt: Int64 = 0
    var isDone = false
  }

  struct Job: Sendable {
    /// Replies to an earlier job's commands may still be under way on the same connection.
    var number: UInt64
    var rules: [Int]
    var generation: UInt64
    var phase = Phase.needsTransaction
    var stages: [FlushStage]
    var scans: [Scan]
    var scannedKeys: UInt64 = 0
    var deletedKeys: UInt64 = 0
    /// 0, or 1 for readers of replicas and those who fill by a plain SET.
    var round = 0
    /// When its barrier was passed, and before when its second round must not begin.
    var passedAt: Int64 = 0
    var notBefore: Int64 = 0
    /// More has to be covered than the second round under way does: another one follows.
    var needsAnotherRound = false
    /// The oldest transaction while it waits at its barrier, and when it is asked for next.
    var blocker: BlockingTransaction?
    var blockerDueAt: Int64 = 0
    var beganAt: Int64
    /// When the log is told next how far it is.
    var reportAt: Int64

    /// Whether it waits between its rounds.
    var isBetweenRounds: Bool {
      switch phase {
      case .needsWALEnd, .askingWALEnd, .waitingForReplicas, .waitingForPlainSets: true
      case .needsTransaction, .askingTransaction, .waiting, .scanning: false
      }
    }

    /// For status.
    var phaseName: String {
      switch phase {
      case .needsTransaction, .askingTransaction, .waiting: "barrier"
      case .needsWALEnd, .askingWALEnd, .waitingForReplicas: "replicas"
      case .waitingForPlainSets: "delay"
      case .scanning:
        scans.contains { $0.stage < stages.count && stages[$0.stage].isLease } ? "leases" : "values"
      }
    }
  }

  private(set) var open: [Open] = []
  /// Rules whose flush would be in vain before the publication carries their tables again.
  private var blocked: Set<Int> = []
  var job: Job?
  private var generation: UInt64 = 0
  private var jobCount: UInt64 = 0
  /// The open flushes as they stand in the watermark.
  private(set) var fingerprints: [String] = []

  var isEmpty: Bool { open.isEmpty }
  private var ready: [Open] { open.filter { !blocked.contains($0.rule) } }
  var mayBegin: Bool { !ready.isEmpty && (job == nil || isOvertaken) }

  /// Lets flushes of these rules, and no others, wait. One that is under way does not close them.
  mutating func block(_ rules: Set<Int>) {
    for index in open.indices where rules.contains(open[index].rule) && !blocked.contains(open[index].rule) {
      open[index].generation = next()
    }
    blocked = rules
  }

  func isBlocked(_ rule: Int) -> Bool { blocked.contains(rule) }

  /// Asks for a flush of the rule; answers false when one that has not begun covers it already.
  mutating func request(_ rule: Int, _ reason: GapReason, fingerprint: [String]) -> Bool {
    if let index = open.firstIndex(where: { $0.rule == rule }) {
      if open[index].needsSecondRoundOnly, !reason.concernsSecondDeletesOnly {
        let isNews = open[index].reason.concernsSecondDeletesOnly
        open[index].isFirstRoundDone = false
        // What was open walks the keys once, behind the replicas; the new request needs more, and sooner.
        open[index].reason = reason
        open[index].generation = next()
        return isNews
      }
      // A job that waits for its transaction covers everything up to then.
      if job == nil || job?.phase == .needsTransaction || open[index].generation > job?.generation ?? 0 {
        return false
      }
      open[index].generation = next()
      return false
    }
    open.append(Open(rule: rule, reason: reason, generation: next()))
    rewrite(fingerprint)
    return true
  }

  private mutating func next() -> UInt64 {
    generation += 1
    return generation
  }

  /// Nanoseconds.
  static let reportInterval: Int64 = 10_000_000_000
  static let blockerDelay: Int64 = 1_000_000_000
  static let blockerInterval: Int64 = 5_000_000_000

  /// Makes a job of all that is open and not blocked, which begins with its barrier.
  mutating func begin(rules: [Rule], leases: Bool, targets: Int, at time: Int64) {
    let indices = ready.map(\.rule)
    jobCount += 1
    job = Job(
      number: jobCount, rules: indices, generation: generation,
      stages: FlushStage.all(of: indices, in: rules, leases: leases),
      scans: Array(repeating: Scan(), count: targets), beganAt: time,
      reportAt: time + FlushState.reportInterval)
  }

  /// The job is done on every target: closes what it covered.
  mutating func finish(fingerprint: [String]) {
    guard let job else { return }
    open.removeAll { job.rules.contains($0.rule) && $0.generation <= job.generation }
    self.job = nil
    rewrite(fingerprint)
  }

  /// The round before is done on every target. The next one begins `delay` after the barrier, or after every replica
  /// has passed it.
  mutating func beginSecondRound(delay: Int64, hasReplicas: Bool) {
    guard var job else { return }
    for index in open.indices
    where job.rules.contains(open[index].rule) && open[index].generation <= job.generation {
      open[index].isFirstRoundDone = true
    }
    job.round = 1
    job.needsAnotherRound = false
    job.scans = Array(repeating: Scan(), count: job.scans.count)
    job.notBefore = max(job.notBefore, job.passedAt + delay)
    job.phase = hasReplicas ? .needsWALEnd : .waitingForPlainSets
    self.job = job
  }

  /// Every replica shows what the second round has to cover.
  mutating func replicasPassed(notBefore: Int64) {
    job?.notBefore = notBefore
    job?.phase = .waitingForPlainSets
  }

  /// Whether the job only waits for replicas while a newer request waits for it: one job for both goes first.
  var isOvertaken: Bool {
    guard let job, job.isBetweenRounds else { return false }
    return ready.contains { $0.generation > job.generation }
  }

  /// Whether the job has the rule, so that its second round can cover what is visible now.
  func isBeingFlushed(_ rule: Int) -> Bool { job?.rules.contains(rule) ?? false }

  /// Makes a second round cover what is visible now, with plain SETs until `notBefore`. One that is under way goes on
  /// as it is, and another follows: a replica that is always late would never reach a position that moves.
  mutating func coverMore(notBefore: Int64) {
    guard var job else { return }
    switch job.phase {
    case _ where job.round == 0: job.notBefore = max(job.notBefore, notBefore)
    case .needsWALEnd: break
    case .askingWALEnd: job.phase = .needsWALEnd
    default: job.needsAnotherRound = true
    }
    self.job = job
  }

  /// The question that was under way will not be answered.
  mutating func questionLost() {
    if job?.phase == .askingTransaction { job?.phase = .needsTransaction }
    if job?.phase == .askingWALEnd { job?.phase = .needsWALEnd }
  }

  /// The connection that asked for the barrier is gone: the job begins again, from its barrier.
  mutating func backToBarrier() { job = nil }

  /// Goes on with other rules, from the barrier: patterns may be others. Flushes of rules that are gone are, too.
  mutating func replaceRules(_ mapping: RuleMapping, fingerprint: [String]) {
    backToBarrier()
    let before = open
    open = []
    // The first of two equal rules that are one by now may need less than the other.
    for var flush in before.sorted(by: { !$0.needsSecondRoundOnly && $1.needsSecondRoundOnly }) {
      guard let rule = mapping(flush.rule), !open.contains(where: { $0.rule == rule }) else { continue }
      flush.rule = rule
      open.append(flush)
    }
    rewrite(fingerprint)
  }

  /// The target's connection is gone, and with it the cursor.
  mutating func restartScan(_ target: Int) { job?.scans[target] = Scan() }

  /// Forgets everything: the next judgement says anew what is open.
  mutating func reset() {
    open.removeAll()
    job = nil
    fingerprints = []
  }

  private mutating func rewrite(_ fingerprint: [String]) { fingerprints = open.map { fingerprint[$0.rule] } }
}
