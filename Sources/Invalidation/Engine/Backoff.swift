/// Delays between tries: doubling, capped, with jitter so that many clients do not come back at once.
///
/// Source: "Exponential Backoff And Jitter" (equal jitter).
struct Backoff: Sendable {
  private var tries = 0
  private let first: Int64 = 50_000_000
  private let cap: Int64 = 3_000_000_000

  mutating func reset() { tries = 0 }

  /// Nanoseconds until the next try: from half to the whole of the doubled delay.
  mutating func next(_ random: inout some RandomNumberGenerator) -> Int64 {
    let full = min(cap, first << Int64(min(tries, 10)))
    tries += 1
    return full / 2 + Int64.random(in: 0...(full / 2), using: &random)
  }
}

/// A small seeded generator, enough for jitter.
///
/// Source: Steele, Lea, Flood, "Fast splittable pseudorandom number generators", 2014.
struct SplitMix64: RandomNumberGenerator, Sendable {
  private var state: UInt64

  init(seed: UInt64) { state = seed }

  mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var mixed = state
    mixed = (mixed ^ mixed >> 30) &* 0xBF58_476D_1CE4_E5B9
    mixed = (mixed ^ mixed >> 27) &* 0x94D0_49BB_1331_11EB
    return mixed ^ mixed >> 31
  }
}
