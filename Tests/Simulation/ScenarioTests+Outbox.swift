import Invalidation
import Testing

extension ScenarioTests {
  /// Second deletes settle late; the first ones, and with them the reading of the outbox, do not wait for that.
  @Test func theOutboxIsReadOnWhileSecondDeletesWait() throws {
    let world = world {
      $0.mode = .notify
      $0.redeleteAfter = 2 * Time.second
      $0.plainReaders = 1
      $0.steadyPause = 5 * Time.millisecond
      $0.promptVisibility = 1_000
    }
    world.advance(to: 6 * Time.second)
    let late = world.postgres.commits.filter { commit in
      guard let visible = commit.visibleTime, visible > 2 * Time.second, !commit.required.isEmpty else {
        return false
      }
      return (commit.first.time ?? world.now) - visible > 300 * Time.millisecond
    }
    #expect(late.isEmpty, "\(late.count) of \(world.postgres.commits.count)")
    finish(world)
    #expect(world.postgres.outbox.entries.isEmpty)
  }
}
