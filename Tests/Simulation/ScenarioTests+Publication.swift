import Invalidation
import Testing

extension ScenarioTests {
  /// A world past its first flush, with a cached order that nothing but a flush of the orders would take away.
  private func publishedWorld(seed: UInt64, mutation: WorldOptions.Mutation? = nil) -> World {
    let world = world(seed: seed) {
      $0.mutation = mutation
      $0.flushRate = 500
      $0.promptVisibility = 1_000
    }
    world.advance(to: 10 * Time.second)
    for id in 0..<200 { world.redis.data.set("user:\(100_000 + id)", .cached(Snapshot(tick: 0))) }
    world.redis.data.set("order[v1]:100000", .cached(Snapshot(tick: 0)))
    return world
  }

  /// The users are out of the publication for a while, and some of them change.
  private func leaveOutUsers(_ world: World) {
    let known = world.postgres.commits.count
    world.postgres.publication.takeOut(.users)
    _ = world.advance(upTo: 30 * Time.second) {
      world.postgres.commits[known...].contains { !$0.leftOut.isEmpty }
    }
    world.postgres.publication.putBack(.users, at: world.now)
  }

  private func expectOneFlush(_ world: World) {
    finish(world)
    #expect(world.tally.count("gap publication_changed") == 1)
    #expect(world.redis.data.cached("user:100000") == nil)
    #expect(world.redis.data.cached("order[v1]:100000") != nil, "the orders were published all the time")
  }

  @Test(arguments: 1...5 as ClosedRange<UInt64>)
  func aTablePutBackBetweenTwoLooksIsFlushed(seed: UInt64) {
    let world = publishedWorld(seed: seed)
    leaveOutUsers(world)
    #expect(world.tally.count("gap publication_changed") == 0)
    world.advance(by: 65 * Time.second)
    expectOneFlush(world)
  }

  @Test(arguments: 1...5 as ClosedRange<UInt64>)
  func aTablePutBackWhileNobodyLooksIsFlushed(seed: UInt64) {
    let world = publishedWorld(seed: seed)
    let instance = world.instances[0]
    switch seed % 3 {
    case 0:
      instance.kill()
      leaveOutUsers(world)
      instance.start()
    case 1:
      // The chain of watermarks goes on in the same process.
      world.postgres.unreachableUntil = world.now + 5 * Time.second
      instance.source.replicationBroke(.unavailable, "connection timed out")
      instance.source.queryBroke(.unavailable, "connection timed out")
      leaveOutUsers(world)
    default:
      leaveOutUsers(world)
      instance.source.queryBroke(.unavailable, "connection timed out")
    }
    world.advance(by: 10 * Time.second)
    expectOneFlush(world)
  }

  /// Killed anywhere between the look and the flush's end: the next start finds the publication changed, or the
  /// flush open.
  @Test(arguments: 0..<20 as Range<Int64>)
  func aKillAfterTheLookForgetsNothing(step: Int64) {
    let world = publishedWorld(seed: UInt64(step))
    let instance = world.instances[0]
    leaveOutUsers(world)
    instance.source.queryBroke(.unavailable, "connection timed out")
    let looks = world.advance(upTo: 5 * Time.second) {
      instance.process?.engine.statistics.gaps.contains { $0.reason == .publicationChanged } ?? false
    }
    #expect(looks)
    world.advance(by: step * 40 * Time.millisecond)
    instance.kill()
    world.advance(by: Time.second)
    instance.start()
    finish(world)
    #expect(world.redis.data.cached("user:100000") == nil && world.redis.data.cached("user:100199") == nil)
    #expect(world.redis.data.cached("order[v1]:100000") != nil)
  }

  /// One table that is gone stops nothing else, and is flushed when it is back, whatever dies meanwhile.
  @Test(arguments: 1...20 as ClosedRange<UInt64>)
  func theOtherTablesGoOn(seed: UInt64) {
    let world = publishedWorld(seed: seed)
    let instance = world.instances[0]
    world.postgres.publication.takeOut(.users)
    instance.source.queryBroke(.unavailable, "connection timed out")
    let isTold = world.advance(upTo: 5 * Time.second) {
      instance.status()?.notReady.contains { $0.check == "publication" } ?? false
    }
    #expect(isTold)
    switch seed % 4 {
    case 0:
      instance.kill()
      instance.start()
    case 1: instance.source.replicationBroke(.unavailable, "connection timed out")
    case 2: world.redis.restore(after: Time.second)
    default: break
    }
    world.advance(by: 10 * Time.second)
    let known = world.postgres.commits.count
    world.advance(by: 5 * Time.second)
    let late = world.postgres.commits[known...].filter { commit in
      guard let visible = commit.visibleTime, world.now - visible > 2 * Time.second else { return false }
      return commit.first.time == nil && !commit.required.isEmpty
    }
    #expect(late.isEmpty, "deletes of orders wait")
    #expect(instance.process?.engine.isProven == false)
    world.postgres.publication.putBack(.users, at: world.now)
    finish(world)
    #expect(world.redis.data.cached("user:100000") == nil)
  }

  /// A swap of tables that hangs on a synchronous standby is in the stream before the catalogue shows it; other DDL that
  /// is visible at once, or a kill meanwhile, takes nothing from it.
  @Test(arguments: 0..<6 as Range<UInt64>)
  func aSwapThatIsNotVisibleYetIsLookedForUntilItIs(seed: UInt64) {
    let world = publishedWorld(seed: seed)
    let postgres = world.postgres
    func alter() -> UInt64 {
      let xid = postgres.assignXid()
      _ = postgres.writeCommit(
        xid: xid, firstLSN: postgres.walEnd, changes: [Change(kind: .alter, table: .audit)])
      return xid
    }
    let swap = alter()
    world.advance(by: 2 * Time.second)
    switch seed % 3 {
    case 0: postgres.leaveProcArray(xid: alter())
    case 1:
      world.instances[0].kill()
      world.instances[0].start()
    default: world.instances[0].source.replicationBroke(.unavailable, "connection timed out")
    }
    // A walsender whose connection broke keeps the slot for a while.
    world.advance(by: 30 * Time.second)
    postgres.leaveProcArray(xid: swap)
    postgres.publication.takeOut(.users)
    let isTold = world.advance(upTo: 4 * Time.second) {
      world.instances[0].status()?.notReady.contains { $0.check == "publication" } ?? false
    }
    #expect(isTold)
    postgres.publication.putBack(.users, at: world.now)
    finish(world)
    #expect(world.redis.data.cached("user:100000") == nil)
  }

  /// Mended while nobody looks, it is as ever: only the watermark knows.
  @Test(arguments: 1...5 as ClosedRange<UInt64>)
  func anUnloggedPartitionIsNotForgottenByAKill(seed: UInt64) {
    let world = publishedWorld(seed: seed)
    let instance = world.instances[0]
    world.postgres.publication.makeUnlogged(.users)
    instance.source.queryBroke(.unavailable, "connection timed out")
    world.advance(by: 10 * Time.second)
    #expect(instance.status()?.notReady.contains { $0.check == "publication" } == true)
    #expect(world.redis.data.cached("user:100000") != nil, "a flush would be in vain")
    instance.kill()
    world.postgres.publication.makeLogged(.users, at: world.now)
    instance.start()
    world.advance(by: 10 * Time.second)
    finish(world)
    #expect(world.redis.data.cached("user:100000") == nil)
  }

  @Test func aTablePutBackIsFoundOnlyByLooking() {
    let world = publishedWorld(seed: 1, mutation: .blindLook)
    leaveOutUsers(world)
    world.workload.end()
    world.advance(by: 65 * Time.second)
    for reader in world.readers { reader.end() }
    _ = world.rest()
    world.scheduler.clear()
    #expect(world.violation != nil)
  }
}
