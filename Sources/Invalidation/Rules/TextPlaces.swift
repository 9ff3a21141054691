/// Texts and the place of each in their list, found without an allocation: a hash table with open addressing.
struct TextPlaces: Sendable {
  /// All texts, one behind the other.
  private let bytes: [UInt8]
  private let ranges: [Range<Int>]
  private let longest: Int
  /// Places, or -1; a power of two of them, at least half of which are free.
  private var slots: [Int]

  /// Of equal texts the first one is found.
  init(_ texts: [[UInt8]]) {
    var bytes: [UInt8] = []
    ranges = texts.map { text in
      bytes += text
      return bytes.count - text.count..<bytes.count
    }
    self.bytes = bytes
    longest = texts.map(\.count).max() ?? 0
    var size = 2
    while size < 2 * texts.count { size *= 2 }
    slots = Array(repeating: -1, count: size)
    for (place, text) in texts.enumerated() {
      let slot = self.slot(of: text.span)
      if slots[slot] < 0 { slots[slot] = place }
    }
  }

  /// Nil for a text that is not in the list.
  @inline(__always)
  subscript(text: Span<UInt8>) -> Int? {
    // A long value of a row need not be read to its end.
    guard text.count <= longest else { return nil }
    let place = slots[slot(of: text)]
    return place < 0 ? nil : place
  }

  /// Where the text stands, or would.
  @inline(__always)
  private func slot(of text: Span<UInt8>) -> Int {
    let mask = slots.count - 1
    var slot = TextPlaces.hash(text) & mask
    while slots[slot] >= 0, !bytes.span.extracting(ranges[slots[slot]]).isEqual(to: text) {
      slot = (slot + 1) & mask
    }
    return slot
  }

  /// FNV-1a (Fowler, Noll, Vo).
  @inline(__always)
  private static func hash(_ text: Span<UInt8>) -> Int {
    var hash: UInt64 = 0xcbf2_9ce4_8422_2325
    for position in text.indices { hash = (hash ^ UInt64(text[position])) &* 0x100_0000_01b3 }
    // The low bits alone choose the slot.
    return Int(truncatingIfNeeded: hash ^ hash >> 32)
  }
}

extension Span<UInt8> {
  @inline(__always)
  func isEqual(to other: Span<UInt8>) -> Bool {
    guard count == other.count else { return false }
    for position in indices where self[position] != other[position] { return false }
    return true
  }
}
