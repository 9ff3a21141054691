import Invalidation

/// A hot standby as its clients see it: it replays the primary's WAL at some distance and shows what it has replayed.
final class ModelReplica {
  unowned let world: World
  let index: Int
  /// `pg_last_wal_replay_lsn()`: the end of the last record replayed.
  private(set) var replayed: UInt64
  /// So many commits, in the WAL's order, lie before it.
  private(set) var shown = 0
  /// Counts its starts.
  private(set) var incarnation = 1
  private(set) var isUp = true
  /// It follows the primary to another one a while after.
  private var timeline: UInt32 = 1
  /// Its replay waits: a conflicting query, or `pg_wal_replay_pause()`.
  var stalledUntil: Int64 = 0
  /// It answers nobody.
  var frozenUntil: Int64 = 0
  /// It refuses cdcd, and serves its readers all the same.
  var hiddenUntil: Int64 = 0
  /// Its address leads elsewhere: to the standby of another cluster, or to a primary.
  var elsewhereUntil: Int64 = 0
  /// How far behind the primary it tries to be.
  private var lag: Int64 = 0
  private var isCalm = false
  private var history: [UInt64] = []
  private var random: Randomness

  init(world: World, index: Int) {
    self.world = world
    self.index = index
    self.replayed = world.postgres.walEnd
    self.random = Randomness(seed: world.seed ^ 0x5EC0_0D ^ UInt64(index) << 32)
  }

  var name: String { "replica\(index)" }

  /// Whether its readers get answers.
  var isServing: Bool { isUp && frozenUntil <= world.now }

  func start() {
    replayLater()
    changeLag()
  }

  /// From here on it only keeps up.
  func calmDown() {
    isCalm = true
    lag = world.options.steadyLag
    stalledUntil = min(stalledUntil, world.now)
    frozenUntil = min(frozenUntil, world.now)
    hiddenUntil = min(hiddenUntil, world.now)
    elsewhereUntil = min(elsewhereUntil, world.now)
  }

  // MARK: Replay

  private func replayLater() {
    world.after(random.between(200_000, 25 * Time.millisecond)) { [self] in
      if isServing, stalledUntil <= world.now { replay() }
      replayLater()
    }
  }

  private func changeLag() {
    guard !isCalm else { return }
    lag =
      world.options.steadyLag
      + random.pick([
        0, 0, 0, 20 * Time.millisecond, 20 * Time.millisecond, 300 * Time.millisecond, 3 * Time.second,
      ])
    world.after(random.between(500 * Time.millisecond, 4 * Time.second)) { [self] in changeLag() }
  }

  private func replay() {
    guard timeline == world.postgres.timeline else {
      if random.chance(20) { timeline = world.postgres.timeline }
      return
    }
    let end = lag == 0 ? world.postgres.walEnd : world.postgres.walEnd(at: world.now - lag)
    guard end > replayed else { return }
    replayed = end
    history.append(end)
    let commits = world.postgres.commits
    while shown < commits.count, commits[shown].endLSN <= end {
      shown += 1
      world.postgres.noticeSeen(commits[shown - 1])
    }
  }

  // MARK: Questions

  /// What it tells about itself; nil when it does not answer.
  var facts: ReplicaFacts? {
    let postgres = world.postgres
    guard hiddenUntil <= world.now, isServing else { return nil }
    var facts = ReplicaFacts(
      isStandby: true, systemIdentifier: postgres.systemIdentifier, timeline: timeline,
      incarnation: "start-\(incarnation)", replayed: LSN(replayed))
    if elsewhereUntil > world.now {
      facts.replayed = LSN(postgres.walEnd + 1_000_000)
      facts.incarnation = "elsewhere"
      if index == 0 { facts.systemIdentifier = "1" } else { facts.isStandby = false }
    }
    switch world.options.mutation {
    case .secondDeleteAtVisibility: facts.replayed = LSN(.max)
    case .receivedForReplayed: facts.replayed = LSN(postgres.walEnd)
    default: break
    }
    return facts
  }

  // MARK: Coming and going

  /// A clean stop writes down how far it was: most often it opens no earlier than there.
  func restart(after delay: Int64) {
    guard isUp else { return }
    world.trace { "\(name): restarts" }
    start(after: delay, at: random.chance(700) ? replayed : earlierState)
  }

  /// It comes back from its last restart point, and opens for reads once it is consistent: at an older state than it
  /// has shown.
  func crash(after delay: Int64) {
    guard isUp else { return }
    world.trace { "\(name): crashes at \(LSN(self.replayed))" }
    start(after: delay, at: earlierState)
  }

  private var earlierState: UInt64 {
    history.isEmpty ? replayed : history[max(0, history.count - 1 - random.below(200))]
  }

  private func start(after delay: Int64, at end: UInt64) {
    isUp = false
    world.after(delay) { [self] in
      world.trace { "\(name): comes back at \(LSN(end))" }
      incarnation += 1
      isUp = true
      if end < replayed { goBack(to: end) }
    }
  }

  private func goBack(to end: UInt64) {
    replayed = end
    history.removeAll { $0 > end }
    let before = shown
    let commits = world.postgres.commits
    while shown > 0, commits[shown - 1].endLSN > end { shown -= 1 }
    world.oracle.wentBack(commits[shown..<before])
  }
}
