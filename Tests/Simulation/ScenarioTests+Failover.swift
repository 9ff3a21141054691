import Invalidation
import Testing

extension ScenarioTests {
  /// Commits go on while a standby takes over, which has everything but what `losing` says. How many flushes there were
  /// besides that for the new slot.
  private func flushes(
    seed: UInt64, keepingSlot keepsSlot: Bool, losing ticks: UInt64, losslessFailover: Bool,
    asynchronousCommit: Bool = false
  ) -> UInt64 {
    let world = world(seed: seed) {
      $0.losslessFailover = losslessFailover
      $0.asynchronousCommit = asynchronousCommit
    }
    world.advance(to: 5 * Time.second)
    world.postgres.crash()
    world.postgres.promote(keepingSlot: keepsSlot, losing: ticks)
    world.advance(by: Time.second)
    world.postgres.start()
    world.advance(by: 10 * Time.second)
    finish(world)
    return world.tally.count("flushes") - 1
  }

  @Test(arguments: 1...10 as ClosedRange<UInt64>)
  func aLosslessFailoverIsFollowedWithoutAFlush(seed: UInt64) {
    #expect(flushes(seed: seed, keepingSlot: true, losing: 0, losslessFailover: true) == 0)
  }

  @Test(arguments: 1...10 as ClosedRange<UInt64>)
  func phantomsOfAnotherAreFlushed(seed: UInt64) {
    #expect(flushes(seed: seed, keepingSlot: true, losing: 40, losslessFailover: false) == 1)
  }

  @Test func aFailoverWithoutTheSlotIsFlushed() {
    #expect(flushes(seed: 1, keepingSlot: false, losing: 0, losslessFailover: true) == 1)
  }

  @Test func aFailoverWithAsynchronousCommitsIsFlushed() {
    #expect(
      flushes(seed: 1, keepingSlot: true, losing: 0, losslessFailover: true, asynchronousCommit: true) == 1)
  }
}
