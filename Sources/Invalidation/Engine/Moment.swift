/// The time as the shell read it when it handed something to the Engine, which has no clock of its own.
package struct Moment: Sendable, Comparable {
  /// Nanoseconds on a clock that never jumps. Every deadline and interval uses this one.
  package var monotonic: Int64

  /// Microseconds since 2000-01-01 00:00 UTC, PostgreSQL's timestamp epoch. Used only to measure latency
  /// against the server's commit time, and in feedback; it may jump.
  package var wall: Int64

  package init(monotonic: Int64, wall: Int64) {
    self.monotonic = monotonic
    self.wall = wall
  }

  /// The same moment, later by `duration` on both clocks.
  package func advanced(by duration: Duration) -> Moment {
    Moment(
      monotonic: monotonic + duration.wholeNanoseconds,
      wall: wall + duration.wholeNanoseconds / 1_000)
  }

  package static func < (left: Moment, right: Moment) -> Bool { left.monotonic < right.monotonic }
}

extension Duration {
  /// The duration in nanoseconds, rounded toward zero.
  package var wholeNanoseconds: Int64 {
    components.seconds * 1_000_000_000 + components.attoseconds / 1_000_000_000
  }
}
