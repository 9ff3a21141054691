/// Looks through bytes a word at a time, with every word within bounds.
///
/// Source for the tests of all bytes of a word at once: Sean Eron Anderson, "Bit Twiddling Hacks", "Determine if a word has a
/// zero byte" and "has a byte less than n". Of what they mark the lowest byte is right; those above it may not be.
extension Span<UInt8> {
  /// The first place from `start` on of a quote, a backslash or a control character, which end a run of JSON text that stands
  /// for itself; the end where there is none.
  func endOfPlainText(from start: Int) -> Int {
    var offset = start
    while offset <= count - 8 {
      let marks = self.word(at: offset).marksOfSpecialBytes
      if marks != 0 { return offset + marks.trailingZeroBitCount / 8 }
      offset += 8
    }
    while offset < count, !self[offset].isSpecial { offset += 1 }
    return offset
  }

  /// Whether the bytes of the other lie here from `start` on.
  @inline(__always)
  func has(_ other: Span<UInt8>, at start: Int) -> Bool {
    guard start >= 0, other.count <= count - start else { return false }
    var offset = 0
    while offset <= other.count - 8 {
      if word(at: start + offset) != other.word(at: offset) { return false }
      offset += 8
    }
    if offset == other.count { return true }
    // The last word again, as far as it was compared before.
    if offset > 0 { return word(at: start + other.count - 8) == other.word(at: other.count - 8) }
    while offset < other.count {
      if self[start + offset] != other[offset] { return false }
      offset += 1
    }
    return true
  }

  /// Whether the range holds just these bytes.
  @inline(__always)
  func matches(_ range: Range<Int>, _ other: [UInt8]) -> Bool {
    range.count == other.count && has(other.span, at: range.lowerBound)
  }

  /// Whether the range holds the word.
  @inline(__always)
  func matches(_ range: Range<Int>, _ word: StaticString) -> Bool {
    guard range.count == word.utf8CodeUnitCount else { return false }
    for index in 0..<range.count where unsafe self[range.lowerBound + index] != word.utf8Start[index] {
      return false
    }
    return true
  }

  /// Eight bytes, the first the lowest. The load is bounds-checked; unsafe it would be for a type with bit patterns that
  /// are no value. Eight reads of a byte took three times as many instructions.
  @inline(__always)
  private func word(at offset: Int) -> UInt64 {
    UInt64(littleEndian: unsafe bytes.unsafeLoadUnaligned(fromByteOffset: offset, as: UInt64.self))
  }
}

extension UInt64 {
  private static let ones: UInt64 = 0x0101_0101_0101_0101
  private static let highBits: UInt64 = 0x8080_8080_8080_8080

  /// The highest bit of each byte that is `isSpecial`.
  @inline(__always)
  fileprivate var marksOfSpecialBytes: UInt64 {
    let quotes = self ^ 0x2222_2222_2222_2222
    let backslashes = self ^ 0x5C5C_5C5C_5C5C_5C5C
    return
      ((quotes &- UInt64.ones) & ~quotes | (backslashes &- UInt64.ones) & ~backslashes
      | (self &- 0x2020_2020_2020_2020) & ~self) & UInt64.highBits
  }
}

extension UInt8 {
  fileprivate var isSpecial: Bool { self == UInt8(ascii: "\"") || self == UInt8(ascii: "\\") || self < 0x20 }
}
