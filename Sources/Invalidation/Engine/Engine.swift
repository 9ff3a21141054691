import DequeModule

/// The way of a change, from replicated bytes to acknowledged delete, as a state machine without socket,
/// clock, randomness or logger: events and messages go in with the time, effects come out.
///
/// The shell calls `receive` for each replication message and `handle` for everything else, and after either
/// takes `nextEffect` until it is nil. It sleeps no longer than `deadline` and stops reading the replication
/// stream while `wantsInput` is false.
package struct Engine {
  package private(set) var statistics = Statistics()
  private var effects = Deque<Effect>()

  /// `seed` feeds the jitter of the backoff.
  package init(configuration: EngineConfiguration, seed: UInt64, now: Moment) {}

  /// One CopyData payload of the replication stream: XLogData or a keepalive.
  package mutating func receive(_ message: Span<UInt8>, now: Moment) {}

  package mutating func handle(_ event: Event, now: Moment) {}

  /// The next thing to do, in order; nil when there is nothing until the next event or deadline.
  package mutating func nextEffect() -> Effect? { effects.popFirst() }

  /// When `Event.deadlineReached` is due, on the monotonic clock in nanoseconds.
  package var deadline: Int64? { nil }

  /// Whether the shell is to go on reading the replication stream.
  package var wantsInput: Bool { true }

  package func status(now: Moment) -> EngineStatus { EngineStatus() }
}
