import Invalidation
import Testing

/// A partition without its root's replica identity: its old rows look whole, and are not.
extension ScenarioTests {
  private func partitionedWorld(seed: UInt64, mutation: WorldOptions.Mutation? = nil) -> World {
    let world = world(seed: seed) {
      $0.mutation = mutation
      $0.promptVisibility = 1_000
      $0.writePause = 100 * Time.millisecond
      // An update that brings no old row tells by itself.
      $0.deletePercent = 100
    }
    world.advance(to: 10 * Time.second)
    return world
  }

  /// Rows go, or get another id, and their old e-mail addresses are not told.
  private func loseOldRows(_ world: World, from known: Int) {
    let isLost = world.advance(upTo: 60 * Time.second) {
      let bare = world.postgres.commits[known...].flatMap(\.changes).filter(\.isBare)
      return bare.count { $0.kind == .delete && $0.old?.texts[1] != nil } > 2
    }
    #expect(isLost)
  }

  private func loseOneOldRow(_ world: World) {
    let known = world.postgres.commits.count
    _ = world.advance(upTo: 60 * Time.second) {
      world.postgres.commits[known...].contains { commit in
        commit.changes.contains { $0.isBare && $0.kind == .delete && $0.old?.texts[1] != nil }
      }
    }
  }

  @Test(arguments: 1...10 as ClosedRange<UInt64>)
  func aBarePartitionIsFlushedForWhatItDoesNotTell(seed: UInt64) {
    let world = partitionedWorld(seed: seed)
    let instance = world.instances[0]
    world.postgres.hasBareTable = true
    let known = world.postgres.commits.count
    switch seed % 3 {
    case 0: loseOldRows(world, from: known)
    case 1:
      // The stream is behind what the look finds.
      world.postgres.unreachableUntil = world.now + 3 * Time.second
      instance.source.replicationBroke(.unavailable, "connection timed out")
      instance.source.queryBroke(.unavailable, "connection timed out")
      loseOldRows(world, from: known)
    default:
      instance.kill()
      loseOldRows(world, from: known)
      instance.start()
    }
    let isTold = world.advance(upTo: 70 * Time.second) {
      instance.status()?.notReady.contains { $0.message.contains("ALTER TABLE public.users_even") } ?? false
    }
    #expect(isTold)
    // Found by now: each change of it is a reason of its own.
    loseOldRows(world, from: world.postgres.commits.count)
    world.postgres.hasBareTable = false
    finish(world)
  }

  /// Redis loses the flushes after the partition was mended, and the changes come again.
  @Test(arguments: 1...20 as ClosedRange<UInt64>)
  func aLostFlushOfAMendedPartitionComesAgain(seed: UInt64) throws {
    let world = partitionedWorld(seed: seed)
    world.postgres.hasBareTable = true
    let instance = world.instances[0]
    instance.source.queryBroke(.unavailable, "connection timed out")
    let isFound = world.advance(upTo: 20 * Time.second) {
      guard let status = instance.status() else { return false }
      return status.openFlushes.isEmpty && status.notReady.contains { $0.check == "rules" }
    }
    #expect(isFound)
    for key in ["mail:ann@x.org", "mail:bob@x.org", "mail:zoë@x.org"] {
      world.redis.data.set(key, .cached(Snapshot(tick: world.nextTick())))
    }
    world.redis.forgetStates()
    world.redis.remember()
    loseOneOldRow(world)
    world.quieten()
    world.postgres.hasBareTable = false
    let isMended = world.advance(upTo: 20 * Time.second) { instance.status()?.notReady.isEmpty ?? false }
    #expect(isMended)
    world.redis.restore(after: Time.second, toOldest: true)
    finish(world)
  }

  /// Nothing is written after a row with an e-mail address has gone, so that no other flush comes.
  private func violationAfterLastDelete(seed: UInt64, mutation: WorldOptions.Mutation?) -> World.Violation? {
    let world = partitionedWorld(seed: seed, mutation: mutation)
    world.postgres.hasBareTable = true
    loseOneOldRow(world)
    world.quieten()
    world.advance(by: 65 * Time.second)
    world.postgres.hasBareTable = false
    _ = world.rest()
    for instance in world.instances { instance.kill() }
    world.scheduler.clear()
    return world.violation
  }

  /// The transaction that makes a partition waits for a standby: nobody else waits for it, and the partition is one
  /// afterwards.
  @Test(arguments: 1...10 as ClosedRange<UInt64>)
  func aPartitionWhoseMakerHangsIsPlacedAfterwards(seed: UInt64) {
    let world = world(seed: seed) {
      $0.partitioned = true
      $0.promptVisibility = 1_000
      $0.writePause = 100 * Time.millisecond
      $0.readPause = 10 * Time.millisecond
    }
    world.workload.stuckFor = 20 * Time.second
    world.advance(to: 15 * Time.second)
    let late = world.postgres.commits.filter { commit in
      guard let visible = commit.visibleTime, world.now - visible > 3 * Time.second else { return false }
      return commit.first.time == nil && !commit.required.isEmpty
    }
    #expect(late.isEmpty, "visible commits wait for the one that hangs")
    world.advance(to: 40 * Time.second)
    finish(world)
  }

  @Test func aBarePartitionIsFoundOnlyByLooking() throws {
    let seeds: ClosedRange<UInt64> = 1...20
    let seed = try #require(seeds.first { violationAfterLastDelete(seed: $0, mutation: .blindLook) != nil })
    #expect(violationAfterLastDelete(seed: seed, mutation: nil) == nil)
  }
}
