import Invalidation

/// Puts the Engine's status on the board: ten times a second at most while something happens, once a second
/// otherwise, which shows that the loop turns, and at once when a position is settled that somebody waits for, or when what
/// is settled begins or ceases to be proved.
struct Publisher {
  private static let shortest: Int64 = 100_000_000
  private static let longest: Int64 = 1_000_000_000

  private let board: StatusBoard
  private var last: Int64 = .min / 2
  private var settled = LSN.zero
  private var isProven = false
  /// Turns since the last time, which may have changed something.
  private var turns = 0

  init(_ board: StatusBoard) { self.board = board }

  /// When `publish` is to be called again at the latest, on the monotonic clock in nanoseconds.
  var deadline: Int64 { last + (turns > 0 ? Publisher.shortest : Publisher.longest) }

  /// Answers with what was put on the board; nil when it was nothing.
  mutating func publish(_ engine: borrowing Engine, now: Moment) -> EngineStatus? {
    turns += 1
    if now.monotonic - last >= Publisher.shortest || engine.isProven != isProven {
      return publishNow(engine, now: now)
    }
    guard board.hasWaiters else { return nil }
    let status = engine.status(now: now)
    guard status.settled != settled else { return nil }
    put(status, engine, now: now)
    return status
  }

  mutating func publishNow(_ engine: borrowing Engine, now: Moment) -> EngineStatus {
    isProven = engine.isProven
    let status = engine.status(now: now)
    put(status, engine, now: now)
    return status
  }

  private mutating func put(_ status: EngineStatus, _ engine: borrowing Engine, now: Moment) {
    settled = status.settled
    last = now.monotonic
    turns = 0
    board.publish(status, engine.statistics, engine.history, at: now)
  }
}
