import Invalidation
import Testing

/// Stories that are worth telling one by one; every step is judged by the oracle as well.
struct ScenarioTests {
  func world(seed: UInt64 = 42, _ adjust: (inout WorldOptions) -> Void = { _ in }) -> World {
    var options = WorldOptions()
    options.retain = 60 * Time.second
    options.writePause = 200 * Time.millisecond
    options.truncatePerMille = 0
    options.isStory = true
    adjust(&options)
    let world = World(seed: seed, options: options, printing: Seeds.prints)
    world.begin()
    return world
  }

  /// Ends the story: nothing goes wrong any more, the world comes to rest, nothing was violated.
  func finish(_ world: World, _ location: SourceLocation = #_sourceLocation) {
    world.quieten()
    for replica in world.replicas { replica.calmDown() }
    _ = world.rest()
    for instance in world.instances { instance.kill() }
    world.scheduler.clear()
    #expect(
      world.violation == nil, "\(world.violation?.description ?? ""); TRACE=1 prints the trace",
      sourceLocation: location)
  }

  @Test func ghostStandby() throws {
    let world = world { $0.checksProgress = true }
    world.advance(to: 5 * Time.second)
    world.workload.stuckFor = 60 * Time.second
    let known = world.postgres.commits.count
    #expect(world.advance(upTo: 2 * Time.second) { world.workload.stuckFor == nil })
    let stuck = try #require(
      world.postgres.commits[known...].first { $0.visibleTick == nil && !$0.required.isEmpty })
    let connection = try #require(world.instances[0].source.connection)
    var silence: Int64 = 0
    for second in 0..<50 {
      world.advance(by: Time.second)
      guard second > 0 else { continue }
      silence = max(silence, world.now - connection.lastFeedbackTime)
      let status = try #require(world.instances[0].status())
      #expect(status.settled.rawValue < stuck.endLSN)
      #expect(status.parkedTransactions >= 1)
      #expect(status.oldestParked == UInt32(truncatingIfNeeded: stuck.xid))
    }
    #expect(stuck.visibleTick == nil)
    #expect(silence < 5 * Time.second)
    #expect(world.instances[0].source.connection === connection)
    let others = world.postgres.commits.filter {
      $0.index > stuck.index && ($0.visibleTime ?? .max) < world.now - Time.second
    }
    #expect(others.count > 20)
    #expect(others.allSatisfy { $0.second.time != nil })
    #expect(world.advance(upTo: 20 * Time.second) { stuck.visibleTick != nil })
    #expect(world.advance(upTo: Time.second) { stuck.second.time != nil })
    finish(world)
  }

  @Test func redisIsAwayForAMinuteUnderLoad() throws {
    let world = world {
      $0.bulkPerMille = 5
      $0.bulkRows = 1_100
    }
    world.advance(to: 3 * Time.second)
    let connection = try #require(world.instances[0].source.connection)
    world.redis.restart(after: 60 * Time.second)
    var silence: Int64 = 0
    for _ in 0..<60 {
      world.advance(by: Time.second)
      silence = max(silence, world.now - connection.lastFeedbackTime)
    }
    #expect(silence < 5 * Time.second)
    #expect(world.instances[0].source.connection === connection)
    #expect(world.postgres.slot?.confirmed ?? 0 < world.postgres.walEnd(at: 3 * Time.second))
    world.advance(by: 10 * Time.second)
    #expect(world.instances[0].source.connection === connection)
    finish(world)
    #expect(world.tally.count("lineage breaks") == 0)
  }

  @Test func aBacklogBeyondEveryLimitStopsReadingAndKeepsTheStream() throws {
    let world = world {
      $0.bulkPerMille = 300
      $0.bulkRows = 12_000
      $0.readers = 1
    }
    world.advance(to: Time.second)
    let connection = try #require(world.instances[0].source.connection)
    world.redis.refusingUntil = world.now + 40 * Time.second
    world.instances[0].redis.connection?.breakDown(silently: false)
    #expect(world.advance(upTo: 30 * Time.second) { world.instances[0].process?.engine.wantsInput == false })
    world.workload.end()
    world.advance(to: 45 * Time.second)
    #expect(world.instances[0].source.connection === connection)
    #expect(world.peakQueue > 1 << 20)
    finish(world)
  }

  @Test func anOlderStateOfRedisIsReplayed() {
    let world = world()
    world.advance(to: 10 * Time.second)
    world.redis.forgetStates()
    world.redis.remember()
    world.advance(by: 15 * Time.second)
    world.redis.restore(after: 500 * Time.millisecond, toOldest: true)
    world.advance(by: 10 * Time.second)
    finish(world)
    #expect(world.tally.count("lineage breaks") == 1)
    #expect(world.tally.count("replayed transactions") > 20)
    #expect(world.tally.count("flushes") == 1, "one, for the new slot")
  }

  @Test func anOlderStateThanTheJournalIsFlushed() {
    let world = world { $0.retain = 2 * Time.second }
    world.advance(to: 5 * Time.second)
    world.redis.forgetStates()
    world.redis.remember()
    world.advance(by: 30 * Time.second)
    world.redis.restore(after: 500 * Time.millisecond, toOldest: true)
    world.advance(by: 10 * Time.second)
    finish(world)
    #expect(world.tally.count("gap watermark_behind_slot") >= 1)
    #expect(world.tally.count("flushes") == 2)
  }

  @Test func aKillDuringAFlushDoesNotForgetIt() throws {
    let world = world {
      $0.flushRate = 500
      $0.instances = 1
    }
    for id in 0..<1_000 { world.redis.data.set("user:\(100_000 + id)", .cached(Snapshot(tick: 0))) }
    let instance = world.instances[0]
    #expect(
      world.advance(upTo: 60 * Time.second) {
        instance.status()?.openFlushes.contains { $0.phase == "values" && $0.deletedKeys > 0 } ?? false
      })
    #expect(world.redis.data.cached("user:100999") != nil)
    instance.kill()
    world.advance(by: Time.second)
    instance.start()
    finish(world)
    #expect(world.tally.count("gap flush_interrupted") >= 1)
    #expect(world.redis.data.cached("user:100000") == nil && world.redis.data.cached("user:100999") == nil)
  }

  @Test func aSecondInstanceTakesOver() throws {
    let world = world { $0.instances = 2 }
    world.advance(to: 5 * Time.second)
    #expect(world.postgres.walsender?.client.instance === world.instances[0])
    world.instances[0].kill()
    #expect(
      world.advance(upTo: 8 * Time.second) {
        world.postgres.walsender?.client.instance === world.instances[1]
      })
    world.advance(by: 3 * Time.second)
    world.instances[0].start()
    world.advance(by: 3 * Time.second)
    finish(world)
    #expect(world.tally.count("flushes") == 1)
  }

  /// Whenever the second one has read the WAL's end, the first one's watermark is already beyond.
  @Test func aSecondInstanceDoesNotHurryAfterTheFirst() {
    let world = world {
      $0.instances = 2
      $0.rowCount = 100
      $0.readers = 0
      $0.promptVisibility = 1_000
      $0.steadyPause = Time.millisecond
      $0.factsAge = 18 * Time.millisecond
    }
    world.advance(to: 4 * Time.second)
    finish(world)
    #expect(world.tally.count("flushes") == 1)
  }

  @Test func aFrozenInstanceLosesTheSlotAndDoesNoHarmWhenItWakes() {
    let world = world { $0.instances = 2 }
    world.advance(to: 5 * Time.second)
    world.instances[0].freeze(for: 40 * Time.second)
    #expect(
      world.advance(upTo: 16 * Time.second) {
        world.postgres.walsender?.client.instance === world.instances[1]
      })
    world.advance(to: 60 * Time.second)
    finish(world)
    #expect(world.tally.count("flushes") == 1)
  }

  /// The confirmed position is 60 s behind and Redis is away: all the more reason to hold the server up.
  @Test func aFastShutdownIsNotHeldUp() {
    let world = world { $0.shutdownLimit = 3 * Time.second }
    world.advance(to: 5 * Time.second)
    world.redis.refusingUntil = world.now + 5 * Time.second
    world.instances[0].redis.connection?.breakDown(silently: false)
    world.advance(by: 2 * Time.second)
    world.postgres.fastShutdown()
    #expect(world.advance(upTo: 3 * Time.second) { world.postgres.availability == .down })
    world.advance(by: 2 * Time.second)
    world.postgres.start()
    world.advance(by: 10 * Time.second)
    finish(world)
  }

  @Test func anEvictedWatermarkIsNoGap() throws {
    let world = world()
    world.advance(to: 5 * Time.second)
    world.redis.evict(try #require(world.oracle.watermarkKey))
    world.advance(by: 5 * Time.second)
    finish(world)
    #expect(world.tally.count("evicted watermarks") >= 1)
    #expect(world.tally.count("flushes") == 1)
  }

  @Test func memoryRunsOutInRedisAndTheKeysGoAllTheSame() {
    let world = world()
    world.advance(to: 5 * Time.second)
    let before = world.oracle.executedDeletes
    world.redis.trouble(.oom, perMille: 1_000, for: 20 * Time.second)
    world.advance(by: 15 * Time.second)
    #expect(world.oracle.executedDeletes > before + 10)
    world.advance(by: 10 * Time.second)
    finish(world)
  }

  /// Somebody makes the slot anew while cdcd, connected, waits for Redis: START_REPLICATION at the old position
  /// succeeds, and begins at the new slot's.
  private func slotMadeAnew(_ world: World) {
    world.advance(to: 5 * Time.second)
    world.redis.refusingUntil = world.now + 15 * Time.second
    world.instances[0].redis.connection?.breakDown(silently: false)
    world.advance(by: Time.second)
    world.instances[0].kill()
    world.instances[0].start()
    world.advance(by: 5 * Time.second)
    world.postgres.dropSlot()
    world.postgres.createSlot()
    world.advance(by: 20 * Time.second)
  }

  @Test func aSlotMadeAnewMeanwhileIsNoticedAndAGap() {
    let world = world()
    slotMadeAnew(world)
    finish(world)
    #expect(world.tally.count("gap watermark_behind_slot") == 1)
    #expect(world.oracle.notices["slot_moved"] == 1)
  }

  /// The Engine goes by what the shell reports after the start: with the old position it notices nothing.
  @Test func aSlotMadeAnewMeanwhileIsNoticedOnlyByLooking() {
    let world = world { $0.mutation = .trustStaleFacts }
    slotMadeAnew(world)
    world.quieten()
    _ = world.rest()
    world.scheduler.clear()
    #expect(world.violation != nil)
  }
}
