/// A hash of keys, by which the history knows them. With a seed that nobody outside knows, two keys have the same hash
/// once in 2^64; nothing depends on it but what people are told.
///
/// Source: the folded multiplication of wyhash.
struct KeyHash: Sendable {
  private static let multiplier: UInt64 = 0x9E37_79B9_7F4A_7C15
  let seed: UInt64

  /// The hash of the key that these bytes are.
  @inline(__always)
  func callAsFunction(_ key: Span<UInt8>) -> UInt64 {
    let bytes = unsafe key.bytes
    // Not among the bits of the bytes that follow.
    var hash = seed &+ UInt64(truncatingIfNeeded: key.count) &* Self.multiplier
    var offset = 0
    while offset + 8 <= key.count {
      hash = Self.fold(hash ^ Self.word(of: bytes, at: offset))
      offset += 8
    }
    var rest: UInt64 = 0
    while offset < key.count {
      rest = rest << 8 | UInt64(key[offset])
      offset += 1
    }
    return Self.fold(Self.fold(hash ^ rest))
  }

  @inline(__always)
  private static func word(of bytes: RawSpan, at offset: Int) -> UInt64 {
    unsafe bytes.unsafeLoadUnaligned(fromByteOffset: offset, as: UInt64.self)
  }

  @inline(__always)
  private static func fold(_ value: UInt64) -> UInt64 {
    let product = value.multipliedFullWidth(by: multiplier)
    return product.high ^ product.low
  }
}
