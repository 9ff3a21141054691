import Invalidation
import Testing

extension ScenarioTests {
  /// A world whose operator is asked about every gap; the first one, for the new slot, is accepted. Nobody
  /// reads, so that nothing stale is there to accept.
  private func haltingWorld(seed: UInt64, factsAge: Int64 = 0) -> World {
    let world = world(seed: seed) {
      $0.onGap = .halt
      $0.readers = 0
      $0.factsAge = factsAge
    }
    #expect(world.advance(upTo: 10 * Time.second) { world.instances[0].halted == .newSlot })
    world.instances[0].start(acceptGap: true)
    world.advance(by: 5 * Time.second)
    #expect(world.instances[0].isRunning)
    return world
  }

  /// Commits a TRUNCATE of the users.
  private func truncate(_ world: World) throws -> Commit {
    let known = world.postgres.commits.count
    world.workload.tablesToTruncate = [.users]
    func truncation() -> Commit? {
      world.postgres.commits[known...].first { $0.changes.contains { $0.kind == .truncate } }
    }
    #expect(world.advance(upTo: 30 * Time.second) { truncation() != nil })
    return try #require(truncation())
  }

  @Test(arguments: 1...10 as ClosedRange<UInt64>)
  func anAcceptedTruncateHaltsNoMoreAndALaterOneDoes(seed: UInt64) throws {
    let world = haltingWorld(seed: seed)
    let instance = world.instances[0]
    let first = try truncate(world)
    #expect(world.advance(upTo: 30 * Time.second) { instance.halted == .truncate })

    // Without a word from the operator it halts again, on the same one.
    instance.start()
    #expect(world.advance(upTo: 30 * Time.second) { instance.halted == .truncate })

    instance.start(acceptGap: true)
    if seed.isMultiple(of: 2) {
      // The acceptance holds until the gap is behind, whatever breaks meanwhile.
      _ = world.advance(upTo: 2 * Time.second) { world.postgres.walsender != nil }
      world.postgres.walsender?.end(.unavailable, "terminating connection")
    }
    #expect(
      world.advance(upTo: 30 * Time.second) { (instance.status()?.settled.rawValue ?? 0) >= first.endLSN })
    #expect(instance.halted == nil)

    let second = try truncate(world)
    #expect(world.advance(upTo: 30 * Time.second) { instance.halted == .truncate })
    instance.start(acceptGap: true)
    #expect(
      world.advance(upTo: 30 * Time.second) { (instance.status()?.settled.rawValue ?? 0) >= second.endLSN })
    world.advance(by: 5 * Time.second)
    instance.kill()

    // What was accepted is behind the watermark: nobody is asked again.
    instance.start()
    world.advance(by: 5 * Time.second)
    #expect(instance.isRunning && instance.halted == nil)
    finish(world)
  }

  /// The acceptance reaches to the WAL's end that was read first, not to a TRUNCATE right behind it.
  @Test func aTruncateAfterTheAcceptanceIsNotAccepted() throws {
    let world = haltingWorld(seed: 1, factsAge: Time.second)
    let instance = world.instances[0]
    _ = try truncate(world)
    #expect(world.advance(upTo: 30 * Time.second) { instance.halted == .truncate })
    world.workload.isPaused = true
    #expect(world.advance(upTo: 30 * Time.second) { world.postgres.inProgress.isEmpty })

    world.postgres.writeWAL(500)
    instance.start(acceptGap: true)
    world.advance(by: 500 * Time.millisecond)
    world.workload.isPaused = false
    _ = try truncate(world)
    #expect(instance.source.connection?.state == .open, "the WAL's end is read, and nothing streamed yet")
    world.advance(by: 20 * Time.second)
    #expect(instance.halted == .truncate)
    #expect(world.violation == nil)
    instance.kill()
    world.scheduler.clear()
  }
}
