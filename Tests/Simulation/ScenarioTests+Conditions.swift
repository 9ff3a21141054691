import Invalidation
import Testing

/// DDL after which a column prints otherwise that a `where` tests.
extension ScenarioTests {
  private func retypedWorld(_ seed: UInt64, _ mode: SourceMode) -> World {
    world(seed: seed) {
      $0.mode = mode
      $0.writePause = 100 * Time.millisecond
      $0.addRetypes()
    }
  }

  private func retype(_ world: World) {
    let known = world.postgres.visibleRetypes
    #expect(world.advance(upTo: 120 * Time.second) { world.postgres.visibleRetypes > known })
  }

  private func isInDoubt(_ instance: Instance) -> Bool {
    instance.status()?.degraded.contains { $0.check == "rules" && $0.message.contains("`where`") } ?? false
  }

  /// Every rule that tests the column is told of, and of none a key stays.
  @Test(arguments: SourceMode.allCases)
  func aConditionOfAnotherTypeCountsAsMet(mode: SourceMode) throws {
    let world = retypedWorld(3, mode)
    let instance = world.instances[0]
    retype(world)
    #expect(world.advance(upTo: 20 * Time.second) { isInDoubt(instance) })
    let status = try #require(instance.status())
    #expect(status.degraded.count { $0.check == "rules" } == 3)
    world.advance(to: world.now + 10 * Time.second)
    #expect(isInDoubt(instance))
    finish(world)
  }

  /// The values are compared when the rules are read again: by then the column prints as in the beginning.
  @Test(arguments: SourceMode.allCases)
  func reloadedRulesAreInDoubtNoMore(mode: SourceMode) {
    let world = retypedWorld(5, mode)
    let instance = world.instances[0]
    retype(world)
    let isAsBefore = world.advance(upTo: 120 * Time.second) {
      world.postgres.visibleRetypes.isMultiple(of: 2)
    }
    #expect(isAsBefore)
    #expect(world.advance(upTo: 20 * Time.second) { isInDoubt(instance) })
    world.workload.end()
    instance.reload()
    #expect(world.advance(upTo: 20 * Time.second) { !isInDoubt(instance) })
    finish(world)
  }
}
