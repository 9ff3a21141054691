import Invalidation
import Testing

extension ScenarioTests {
  /// What waits behind one parked transaction is a position, however many others pass meanwhile.
  @Test func oneParkedTransactionIsPassedByThousands() throws {
    let world = world {
      $0.rowCount = 100
      $0.readers = 0
      $0.promptVisibility = 0
      $0.steadyPause = 7 * Time.millisecond
      $0.turnsPerStatus = 20
    }
    world.advance(to: 2 * Time.second)
    world.workload.stuckFor = 65 * Time.second
    let instance = world.instances[0]
    #expect(world.advance(upTo: 2 * Time.second) { world.workload.stuckFor == nil })
    let before = try #require(instance.process?.engine.statistics.barrierWaits)
    var told: Set<UInt64> = []
    let end = world.now + 60 * Time.second
    var excess = Int.min
    while world.now < end, world.violation == nil {
      world.advance(by: 100 * Time.millisecond)
      let status = try #require(instance.status())
      // Those that no snapshot was asked for yet are not parked.
      let fresh = world.postgres.commits.suffix(50).count { $0.time > world.now - 20 * Time.millisecond }
      excess = max(excess, status.ledgerEntries - 2 * (status.parkedTransactions + fresh) - 2)
      #expect(status.parkedTransactions >= 1)
      if let bytes = status.retention?.wal?.bytes { told.insert(bytes) }
    }
    // What the server keeps is asked for in between.
    #expect((5...7).contains(told.count), "\(told.count)")
    let passed = try #require(instance.process?.engine.statistics.barrierWaits) - before
    #expect(passed >= 5_000)
    #expect(excess <= 0)
    finish(world)
  }

  /// xids are compared modulo 2^32: after 2^31 others a snapshot of before sees what has not begun yet.
  @Test func aSnapshotOfTwoBillionTransactionsAgoSeesNothing() throws {
    let world = world {
      $0.retain = 2 * Time.second
      $0.readers = 0
      $0.promptVisibility = 1_000
    }
    world.advance(to: 10 * Time.second)
    world.workload.isPaused = true
    #expect(world.advance(upTo: 30 * Time.second) { world.postgres.inProgress.isEmpty })
    for _ in 0..<36 {
      world.advance(by: 100 * Time.second)
      world.postgres.burnXids((1 << 31) / 36 + 1)
    }
    let known = world.postgres.commits.count
    world.workload.stuckFor = 5 * Time.second
    world.workload.isPaused = false
    #expect(world.advance(upTo: 20 * Time.second) { world.workload.stuckFor == nil })
    world.advance(by: Time.second)
    let stuck = try #require(
      world.postgres.commits[known...].first { $0.visibleTick == nil && !$0.required.isEmpty })
    let status = try #require(world.instances[0].status())
    #expect(status.settled.rawValue < stuck.endLSN)
    #expect(status.parkedTransactions >= 1)
    #expect(world.advance(upTo: 10 * Time.second) { stuck.second.time != nil })
    finish(world)
  }
}
