package import Invalidation

/// The one place where the event loop's thread and the HTTP server meet: small snapshots under a Mutex.
package final class StatusBoard: Sendable {
  package init() {}

  /// Called by the event loop's thread: at most every 100 ms, and at once when the settled position moves while
  /// somebody waits for it.
  package func publish(_ status: EngineStatus, _ statistics: Statistics, at now: Moment) {}

  /// Whether somebody waits for a position that the last published status has not settled.
  package var hasWaiters: Bool { false }

  /// The positions that were asked for since the last call; the event loop hands each to the Engine as
  /// `Event.awaited`.
  package func takeAwaited() -> [LSN] { [] }

  /// `wake` is called, from any thread, when there is something to take.
  package func onAwait(_ wake: @escaping @Sendable () -> Void) {}
}
