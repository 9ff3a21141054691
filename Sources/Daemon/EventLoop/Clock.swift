import Glibc
// Which of the two modules owns timespec depends on what else the target imports.
import SwiftOverlayShims
import Invalidation

/// The clocks of the event loop, the only place that reads them for the Engine.
enum Clock {
  /// CLOCK_MONOTONIC in nanoseconds; the system's time in microseconds since 2000-01-01 00:00 UTC.
  static func now() -> Moment {
    let wall = read(CLOCK_REALTIME)
    return Moment(
      monotonic: monotonic(),
      wall: (Int64(wall.tv_sec) - secondsTo2000) * 1_000_000 + Int64(wall.tv_nsec) / 1_000)
  }

  /// CLOCK_MONOTONIC in nanoseconds.
  static func monotonic() -> Int64 {
    let time = read(CLOCK_MONOTONIC)
    return Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec)
  }

  /// What a clock of clock_gettime(2) shows, in seconds.
  static func seconds(_ clock: clockid_t) -> Double {
    let time = read(clock)
    return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
  }

  /// Blocks the thread for so long, or a little longer; a signal may end it sooner. For one-shot commands.
  static func sleep(_ duration: Duration) {
    let (seconds, attoseconds) = duration.components
    var time = timespec(tv_sec: Int(seconds), tv_nsec: Int(attoseconds / 1_000_000_000))
    _ = unsafe nanosleep(&time, nil)
  }

  /// From 1970 to 2000.
  private static let secondsTo2000: Int64 = 946_684_800

  private static func read(_ clock: clockid_t) -> timespec {
    var time = timespec()
    // Fails only for a clock that does not exist.
    _ = unsafe clock_gettime(clock, &time)
    return time
  }
}
