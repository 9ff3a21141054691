/// Delays between tries: doubling, capped, with jitter so that many waiters do not come back at once.
///
/// Source: "Exponential Backoff And Jitter" (equal jitter).
struct Backoff: Sendable {
  private(set) var tries = 0
  let first: Duration
  let cap: Duration

  mutating func reset() { tries = 0 }

  /// From half to the whole of the doubled delay.
  mutating func next(_ random: inout some RandomNumberGenerator) -> Duration {
    let full = min(cap, first * (1 << min(tries, 20)))
    tries += 1
    return full / 2 + full / 2 * Double.random(in: 0...1, using: &random)
  }

  mutating func next() -> Duration {
    var random = SystemRandomNumberGenerator()
    return next(&random)
  }
}
