/// Redis's glob patterns: whether SCAN would find a key by a pattern.
///
/// Source: `stringmatchlen` in Redis's util.c, which is also where unfinished sets and escapes get their meaning.
package enum Glob {
  package static func matches(_ pattern: [UInt8], _ key: [UInt8]) -> Bool {
    var (at, position) = (0, 0)
    // Where the last star stands, and where what it covers ends: all else takes one byte, so only the last one moves.
    var star: (at: Int, end: Int)?
    while position < key.count {
      if at < pattern.count, pattern[at] == UInt8(ascii: "*") {
        star = (at, position)
        at += 1
      } else if at < pattern.count, let next = step(pattern, at, key[position]) {
        at = next
        position += 1
      } else if let last = star {
        star = (last.at, last.end + 1)
        (at, position) = (last.at + 1, last.end + 1)
      } else {
        return false
      }
    }
    return pattern[at...].allSatisfy { $0 == UInt8(ascii: "*") }
  }

  /// Where the pattern goes on when its element at this place covers the byte; nil when it does not.
  private static func step(_ pattern: [UInt8], _ at: Int, _ byte: UInt8) -> Int? {
    switch pattern[at] {
    case UInt8(ascii: "?"): return at + 1
    case UInt8(ascii: "["): return set(pattern, at + 1, byte)
    case UInt8(ascii: "\\") where at + 1 < pattern.count: return pattern[at + 1] == byte ? at + 2 : nil
    case let literal: return literal == byte ? at + 1 : nil
    }
  }

  /// `start` is behind the bracket.
  private static func set(_ pattern: [UInt8], _ start: Int, _ byte: UInt8) -> Int? {
    var at = start
    let isNegated = at < pattern.count && pattern[at] == UInt8(ascii: "^")
    if isNegated { at += 1 }
    var isMember = false
    while at < pattern.count {
      guard let element = element(pattern, at) else { return isMember != isNegated ? at + 1 : nil }
      if element.bytes.contains(byte) { isMember = true }
      at = element.end
    }
    return isMember != isNegated ? at : nil
  }

  /// What the element of a set that begins here covers, and where it ends; nil for the bracket that ends the set.
  private static func element(
    _ pattern: [UInt8], _ at: Int
  ) -> (bytes: ClosedRange<UInt8>, end: Int)? {
    if pattern[at] == UInt8(ascii: "\\"), at + 1 < pattern.count {
      return (pattern[at + 1]...pattern[at + 1], at + 2)
    }
    if pattern[at] == UInt8(ascii: "]") { return nil }
    if at + 2 < pattern.count, pattern[at + 1] == UInt8(ascii: "-") {
      return (min(pattern[at], pattern[at + 2])...max(pattern[at], pattern[at + 2]), at + 3)
    }
    return (pattern[at]...pattern[at], at + 1)
  }

  /// Whether every set and every escape has its end, so that the pattern means the same before further text. Redis takes
  /// others as well.
  package static func isFinished(_ pattern: [UInt8]) -> Bool {
    var at = 0
    while at < pattern.count {
      switch pattern[at] {
      case UInt8(ascii: "["):
        at += 1
        if at < pattern.count, pattern[at] == UInt8(ascii: "^") { at += 1 }
        while at < pattern.count, let element = element(pattern, at) { at = element.end }
        at += 1
      case UInt8(ascii: "\\"): at += 2
      default: at += 1
      }
    }
    return at == pattern.count
  }
}
