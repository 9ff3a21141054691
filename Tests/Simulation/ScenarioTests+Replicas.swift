import Invalidation
import Testing

extension ScenarioTests {
  /// A world with one read replica, and fifty seconds ahead in which nothing else goes wrong.
  private func replicaWorld(
    seed: UInt64 = 42, _ adjust: (inout WorldOptions) -> Void = { _ in }
  ) -> (World, ModelReplica, Instance) {
    let world = world(seed: seed) {
      $0.retain = 10 * Time.second
      $0.replicas = 1
      adjust(&$0)
    }
    return (world, world.replicas[0], world.instances[0])
  }

  /// Commits a TRUNCATE of the users, and waits until the primary shows it.
  private func truncateUsers(_ world: World) throws -> Commit {
    let known = world.postgres.commits.count
    world.workload.tablesToTruncate = [.users]
    func truncation() -> Commit? {
      world.postgres.commits[known...].first {
        $0.visibleTick != nil && $0.changes.contains { $0.kind == .truncate }
      }
    }
    #expect(world.advance(upTo: 30 * Time.second) { truncation() != nil })
    return try #require(truncation())
  }

  @Test func anUnreachableReplicaHoldsBackNothingElseAndItsFlushSurvivesAKill() throws {
    let (world, replica, instance) = replicaWorld { $0.promptVisibility = 1_000 }
    world.advance(to: 5 * Time.second)
    replica.hiddenUntil = world.now + 60 * Time.second
    world.advance(by: 3 * Time.second)
    let stopped = try #require(instance.status()?.settled)
    for _ in 0..<6 {
      world.advance(by: Time.second)
      let status = try #require(instance.status())
      #expect(status.settled == stopped)
      let last = world.postgres.commits.last { ($0.visibleTime ?? .max) < world.now - Time.second }
      #expect(status.applied.rawValue >= (last?.endLSN ?? 0))
      #expect(status.notReady.isEmpty)
      #expect(status.degraded.contains { $0.check == "replicas" })
      #expect(status.pendingSecondDeletes > 0)
    }
    func waits() -> Bool { instance.status()?.openFlushes.contains { $0.phase == "replicas" } ?? false }
    #expect(world.advance(upTo: 15 * Time.second, until: waits))
    #expect(instance.status()?.openFlushes.first?.reason == .secondDeletesCollapsed)
    #expect(instance.status()?.notReady.isEmpty == true)
    #expect(try #require(instance.status()).settled > stopped)

    instance.kill()
    world.advance(by: Time.second)
    instance.start()
    #expect(world.advance(upTo: 10 * Time.second, until: waits))
    #expect(instance.status()?.openFlushes.first?.reason == .flushInterrupted)
    #expect(instance.status()?.notReady.isEmpty == true)
    finish(world)
    #expect(instance.runs == 2)
  }

  /// A flush that another one overtakes does not wait for its replicas first.
  @Test func aTruncateDuringAFlushIsFlushedAlthoughTheReplicaIsAway() throws {
    let (world, replica, instance) = replicaWorld { $0.flushRate = 200 }
    replica.hiddenUntil = 120 * Time.second
    for id in 0..<400 { world.redis.data.set("user:\(100_000 + id)", .cached(Snapshot(tick: 0))) }
    #expect(
      world.advance(upTo: 20 * Time.second) {
        instance.status()?.openFlushes.contains { $0.phase == "values" && $0.deletedKeys > 0 } ?? false
      })
    _ = try truncateUsers(world)
    #expect(instance.status()?.openFlushes.contains { $0.phase == "values" } == true)
    #expect(world.advance(upTo: 20 * Time.second) { instance.status()?.notReady.isEmpty ?? false })
    #expect(world.now < 60 * Time.second)
    finish(world)
  }

  /// The flush that collapsed second deletes wait for does not hide another reason for the same rule.
  @Test func aTruncateIsAGapAlthoughACollapsedFlushIsOpen() throws {
    let (world, replica, instance) = replicaWorld { $0.flushRate = 200 }
    world.advance(to: 5 * Time.second)
    replica.hiddenUntil = world.now + 100 * Time.second
    #expect(
      world.advance(upTo: 20 * Time.second) {
        instance.status()?.openFlushes.contains { $0.phase == "replicas" } ?? false
      })
    // A flush of the users takes a while.
    for id in 0..<800 { world.redis.data.set("user:\(100_000 + id)", .cached(Snapshot(tick: 0))) }
    _ = try truncateUsers(world)
    world.advance(by: 500 * Time.millisecond)
    #expect(instance.status()?.notReady.contains { $0.check == "gap" } == true)
    #expect(world.advance(upTo: 40 * Time.second) { instance.status()?.notReady.isEmpty ?? false })
    finish(world)
  }

  /// What a reader of the replica read just before it replayed a TRUNCATE comes back by a plain SET just before
  /// `redelete_after` has passed.
  @Test func aPlainSetFromBehindAReplicaDoesNotSurviveAFlush() throws {
    let (world, replica, _) = replicaWorld {
      $0.steadyLag = 5 * Time.second
      $0.redeleteAfter = 2 * Time.second
    }
    world.advance(to: 20 * Time.second)
    // Nothing but the flush is to delete the key.
    world.workload.isPaused = true
    world.advance(by: 15 * Time.second)
    let known = world.postgres.commits.count
    world.workload.tablesToTruncate = [.users]
    world.workload.isPaused = false
    for _ in 0..<100_000 where !world.workload.tablesToTruncate.isEmpty {
      world.advance(by: 100 * Time.microsecond)
    }
    world.workload.isPaused = true
    #expect(world.advance(upTo: 3 * Time.second) { world.postgres.commits.count > known })
    let commit = try #require(world.postgres.commits[known...].first { !$0.truncated.isEmpty })
    let key = try #require(commit.truncated.first { $0.hasPrefix("user:") })
    var snapshot: Snapshot?
    for _ in 0..<20_000 where replica.shown <= commit.index {
      snapshot = world.snapshot(on: replica)
      world.advance(by: Time.millisecond)
    }
    var stale = try #require(snapshot)
    #expect(!stale.includes(commit) && replica.shown > commit.index)
    world.advance(by: 1_990 * Time.millisecond)
    stale.fill = .plain
    world.redis.set(key, stale)
    finish(world)
  }

  /// A replica that is always further behind than second deletes wait: the flush that takes over runs all the same.
  @Test func aReplicaThatIsAlwaysLateIsFlushedForAgainAndAgain() throws {
    let (world, _, instance) = replicaWorld { $0.steadyLag = 17 * Time.second }
    world.advance(to: 60 * Time.second)
    let before = try #require(instance.process?.engine.statistics.flushedKeys)
    for key in ["user:100001", "user:100002"] { world.redis.data.set(key, .cached(Snapshot(tick: 0))) }
    world.advance(by: 60 * Time.second)
    #expect(try #require(instance.process?.engine.statistics.flushedKeys) > before)
    #expect(world.redis.data.cached("user:100001") == nil)
    finish(world)
  }

  /// The replica may be ahead of the primary's proc array: nobody waits for its next answer then.
  @Test(arguments: 1...10 as ClosedRange<UInt64>)
  func aTransactionThatTheReplicaShowsFirstIsSettledSoon(seed: UInt64) throws {
    let (world, replica, instance) = replicaWorld(seed: seed)
    world.advance(to: 10 * Time.second)
    world.workload.isPaused = true
    world.advance(by: 13 * Time.second)
    replica.calmDown()
    let known = world.postgres.commits.count
    world.workload.stuckFor = 1_500 * Time.millisecond
    world.workload.isPaused = false
    #expect(world.advance(upTo: 10 * Time.second) { world.workload.stuckFor == nil })
    world.workload.isPaused = true
    world.advance(by: 2_500 * Time.millisecond)
    let last = world.postgres.commits[known...].filter { !$0.required.isEmpty }
    #expect(last.allSatisfy { $0.visibleTick != nil && $0.second.time != nil })
    #expect((instance.status()?.settled.rawValue ?? 0) >= last.map(\.endLSN).max() ?? 0)
    finish(world)
  }

  @Test func aStopLeavesTheSettledPositionBeforePendingSecondDeletes() throws {
    let (world, replica, instance) = replicaWorld()
    world.advance(to: 5 * Time.second)
    replica.hiddenUntil = world.now + 60 * Time.second
    world.advance(by: 3 * Time.second)
    let pending = try #require(world.oracle.unsettled.first)
    instance.stop()
    #expect(world.advance(upTo: 10 * Time.second) { !instance.isRunning })
    guard case .text(let text)? = world.redis.data[try #require(world.oracle.watermarkKey)],
      let watermark = Watermark(text)
    else {
      Issue.record("no watermark")
      return
    }
    #expect(watermark.settled.rawValue < pending.endLSN)
    #expect(watermark.applied.rawValue >= pending.endLSN)
    #expect(watermark.openFlushes.isEmpty)
    world.advance(by: 2 * Time.second)
    instance.start()
    finish(world)
    #expect(world.tally.count("flushes") == 1, "one, for the new slot")
  }

  /// While Redis is away, second deletes that come due stay where they are counted.
  @Test func secondDeletesStayBoundedWhileRedisIsAway() throws {
    let (world, replica, instance) = replicaWorld {
      $0.retain = 60 * Time.second
      $0.emailPadding = 8_000
      $0.steadyPause = 2 * Time.millisecond
      $0.rowCount = 100
      $0.readers = 0
      $0.promptVisibility = 1_000
    }
    world.advance(to: 3 * Time.second)
    replica.stalledUntil = world.now + 60 * Time.second
    #expect(world.advance(upTo: 30 * Time.second) { (instance.status()?.queueBytes ?? 0) > 25 << 20 })
    world.workload.isPaused = true
    world.advance(by: Time.second)
    world.redis.refusingUntil = world.now + 20 * Time.second
    instance.redis.connection?.breakDown(silently: false)
    replica.stalledUntil = world.now
    world.advance(by: 10 * Time.second)
    let status = try #require(instance.status())
    #expect(status.targets[0].unacknowledgedBytes < 9 << 20)
    finish(world)
    #expect(world.tally.count("gap second_deletes_collapsed") == 0)
  }

  /// Beyond their memory a flush takes over.
  @Test func secondDeletesBeyondTheirMemoryCollapse() throws {
    let (world, replica, instance) = replicaWorld {
      $0.retain = 60 * Time.second
      $0.emailPadding = 8_000
      $0.steadyPause = 2 * Time.millisecond
      $0.rowCount = 100
      $0.readers = 0
      $0.promptVisibility = 1_000
    }
    world.advance(to: 3 * Time.second)
    replica.stalledUntil = world.now + 55 * Time.second
    func hasCollapsed() -> Bool {
      instance.status()?.openFlushes.contains { $0.reason == .secondDeletesCollapsed } ?? false
    }
    #expect(world.advance(upTo: 30 * Time.second, until: hasCollapsed))
    #expect(world.advance(upTo: 10 * Time.second) { instance.status()?.notReady.isEmpty ?? false })
    world.workload.isPaused = true
    finish(world)
  }

  /// What no flush can do is a gap for the operator, before the watermark passes it.
  @Test func aRuleThatCannotBeFlushedHaltsWhenItsSecondDeletesCollapse() throws {
    let (world, replica, instance) = replicaWorld {
      $0.readers = 0
      $0.adjustRule = { rule in
        guard rule.name == "names" else { return }
        rule.templates.append(
          KeyTemplate(text: "{id}:bare", segments: [.column("id", []), .literal(Array(":bare".utf8))]))
        rule.onGap = .halt
      }
    }
    #expect(world.advance(upTo: 10 * Time.second) { instance.halted == .newSlot })
    instance.start(acceptGap: true)
    world.advance(by: 5 * Time.second)
    replica.hiddenUntil = world.now + 30 * Time.second
    world.advance(by: Time.second)
    let pending = try #require(
      world.oracle.unsettled.first { $0.required.contains { $0.hasPrefix("name:") } })
    #expect(world.advance(upTo: 20 * Time.second) { instance.halted == .secondDeletesCollapsed })
    guard case .text(let text)? = world.redis.data[try #require(world.oracle.watermarkKey)] else {
      Issue.record("no watermark")
      return
    }
    #expect(try #require(Watermark(text)).settled.rawValue < pending.endLSN)
    replica.hiddenUntil = world.now
    instance.start()
    finish(world)
    #expect(instance.halted == nil)
  }

  /// The clock of second deletes stands while there is no stream, and so no question to a replica.
  @Test func aSourceThatIsAwayForLongCollapsesNothing() throws {
    let (world, replica, instance) = replicaWorld()
    world.advance(to: 5 * Time.second)
    replica.hiddenUntil = world.now + 5 * Time.second
    world.advance(by: 2 * Time.second)
    #expect(try #require(instance.status()).pendingSecondDeletes > 0)
    world.workload.isPaused = true
    world.postgres.crash()
    world.advance(by: 40 * Time.second)
    world.postgres.start()
    world.workload.isPaused = false
    world.advance(by: 5 * Time.second)
    finish(world)
    #expect(world.tally.count("gap second_deletes_collapsed") == 0)
    #expect(world.tally.count("flushes") == 1, "one, for the new slot")
  }

  /// A TRUNCATE whose flush has done all for readers of the primary, and waits for a replica that is away.
  private func flushBehindAbsentReplica(retain: Int64) -> World {
    let world = world {
      $0.retain = retain
      $0.replicas = 1
    }
    let instance = world.instances[0]
    world.advance(to: 5 * Time.second)
    world.replicas[0].hiddenUntil = world.now + 100 * Time.second
    world.workload.tablesToTruncate = [.users]
    #expect(
      world.advance(upTo: 10 * Time.second) {
        instance.status()?.openFlushes.contains { $0.reason == .truncate } ?? false
      })
    #expect(world.advance(upTo: 10 * Time.second) { instance.status()?.notReady.isEmpty ?? false })
    return world
  }

  private func expectNoGap(_ world: World, for milliseconds: Int) {
    var unready = 0
    for _ in 0..<milliseconds {
      world.advance(by: Time.millisecond)
      guard let status = world.instances[0].status(), status.streaming else { continue }
      if status.notReady.contains(where: { $0.check == "gap" }) { unready += 1 }
    }
    #expect(unready == 0)
    finish(world)
  }

  @Test func aCollapseDoesNotBeginATruncatesFirstRoundAgain() {
    expectNoGap(flushBehindAbsentReplica(retain: 10 * Time.second), for: 20_000)
  }

  @Test func aReconnectDoesNotBeginATruncatesFirstRoundAgain() {
    let world = flushBehindAbsentReplica(retain: 60 * Time.second)
    world.postgres.walsender?.end(.unavailable, "terminating connection")
    expectNoGap(world, for: 5_000)
  }
}
