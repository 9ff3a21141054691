import Invalidation
import Testing

extension ScenarioTests {
  /// The replies of the flush's first attempt come when its second one has begun, on the same connection.
  @Test(arguments: 1...20 as ClosedRange<UInt64>)
  func aFlushWhoseSourceBreaksWhileRedisIsFrozenLeavesNothing(seed: UInt64) {
    let world = world(seed: seed) {
      $0.flushRate = 500
      $0.leases = false
      $0.readers = 0
      $0.scanPages = 20
      $0.thawsSlowly = true
    }
    let keys = (0..<1_000).map { "user:\(100_000 + $0)" }
    for key in keys { world.redis.data.set(key, .cached(Snapshot(tick: 0))) }
    let instance = world.instances[0]
    #expect(
      world.advance(upTo: 60 * Time.second) {
        instance.status()?.openFlushes.contains { $0.phase == "values" && $0.deletedKeys > 0 } ?? false
      })
    world.advance(by: Int64(seed) * 50 * Time.millisecond)
    world.workload.isPaused = true
    world.faults.inject(.flushAmbush)
    #expect(world.advance(upTo: 5 * Time.second) { !world.faults.ambushIsSet })
    finish(world)
    #expect(keys.allSatisfy { world.redis.data.cached($0) == nil })
  }

  /// What a flush deletes leaves no trace in the chain of watermarks: the batch that ends it must not be taken by a
  /// history that has lost the deletes, also where the connection stands. Found by the model in Tests/Model.
  @Test(arguments: 1...10 as ClosedRange<UInt64>)
  func aFlushThatEndsOnAnotherHistoryBeginsAgain(seed: UInt64) {
    let world = world(seed: seed) {
      $0.flushRate = 500
      $0.leases = false
      $0.readers = 0
      $0.scanPages = 20
    }
    world.workload.isPaused = true
    // Its end falls between two heartbeats.
    let keys = (0..<700).map { "user:\(100_000 + $0)" }
    for key in keys { world.redis.data.set(key, .cached(Snapshot(tick: 0))) }
    let instance = world.instances[0]
    var isNearItsEnd = false
    while !isNearItsEnd, world.now < 60 * Time.second {
      world.advance(by: 10 * Time.millisecond)
      isNearItsEnd = instance.status()?.openFlushes.contains { $0.deletedKeys > 600 } ?? false
    }
    #expect(isNearItsEnd)
    world.redis.remember()
    world.faults.failsOverAtFlushEnd = true
    #expect(world.advance(upTo: 5 * Time.second) { !world.faults.failsOverAtFlushEnd })
    finish(world)
    #expect(keys.allSatisfy { world.redis.data.cached($0) == nil })
  }
}
