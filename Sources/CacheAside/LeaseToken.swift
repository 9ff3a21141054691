/// What tells one try to fill a key from every other: 128 random bits from the operating system.
///
/// Fresh for every try: with one token per client an invalidated lease that the same client took again would let
/// the first try's value in (ABA).
struct LeaseToken: Equatable, Sendable {
  let bytes: [UInt8]

  init() {
    var random = SystemRandomNumberGenerator()
    bytes = (0..<16).map { _ in UInt8.random(in: .min ... .max, using: &random) }
  }
}
