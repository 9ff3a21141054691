import DequeModule

/// What may be confirmed to the slot: what was settled `retain` ago, so that the WAL since then can be streamed
/// again when Redis comes back older (contract 3).
struct ConfirmedPosition: Sendable {
  private struct Sample: Sendable {
    var time: Int64
    var settled: LSN
  }

  private let retain: Int64
  private var samples = Deque<Sample>()
  private(set) var position = LSN.zero

  init(retain: Duration) { self.retain = retain.wholeNanoseconds }

  /// Starts again from what the slot says it has.
  mutating func restart(at confirmed: LSN) {
    samples.removeAll()
    position = confirmed
  }

  /// Forgets what was settled after the confirmed position: Redis may have lost it.
  mutating func forgetSettled() { samples.removeAll() }

  /// Goes on with the same slot.
  mutating func resume(at confirmed: LSN) { position = max(position, confirmed) }

  /// Notes what is settled at `time`, and moves the confirmed position. At most some sixty samples are kept.
  mutating func note(_ settled: LSN, at time: Int64) {
    let spacing = max(retain / 60, 1_000_000)
    if let last = samples.last {
      if settled > last.settled, time - last.time >= spacing {
        samples.append(Sample(time: time, settled: settled))
      }
    } else {
      samples.append(Sample(time: time, settled: settled))
    }
    while let first = samples.first, first.time <= time - retain {
      position = max(position, first.settled)
      samples.removeFirst()
    }
  }
}
