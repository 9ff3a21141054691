@testable import Invalidation

/// Makes inputs out of those of a corpus, the same ones for the same seed.
struct Mutation {
  private let corpus: [[UInt8]]
  private let words: [[UInt8]]
  private var random: SplitMix64
  /// Longer inputs find nothing that these do not, and take long.
  private static let longest = 8_192

  init(_ corpus: Corpus, words: [String], seed: UInt64) {
    self.corpus = corpus.entries.isEmpty ? [[]] : corpus.entries
    self.words = words.isEmpty ? [[0]] : words.map { Array($0.utf8) }
    random = SplitMix64(seed: seed)
  }

  mutating func next() -> [UInt8] {
    var bytes = corpus[below(corpus.count)]
    for _ in 0...below(4) { mutate(&bytes) }
    return Array(bytes.prefix(Self.longest))
  }

  private mutating func below(_ bound: Int) -> Int { Int(random.next() % UInt64(bound)) }

  private static let interesting: [UInt8] = [
    0, 1, 0x20, 0x22, 0x27, 0x30, 0x5B, 0x5C, 0x7B, 0x7D, 0x7F, 0x80, 0xFF,
  ]

  private mutating func mutate(_ bytes: inout [UInt8]) {
    let place = below(bytes.count + 1)
    let end = min(bytes.count, place + below(below(4) == 0 ? 256 : 8) + 1)
    switch below(9) {
    case 0 where place < bytes.count: bytes[place] = UInt8(below(256))
    case 1 where place < bytes.count: bytes[place] ^= 1 << UInt8(below(8))
    case 2 where place < bytes.count: bytes[place] = Self.interesting[below(Self.interesting.count)]
    case 3: bytes.removeSubrange(place..<end)
    case 4: bytes.insert(contentsOf: words[below(words.count)], at: place)
    case 5:
      let other = corpus[below(corpus.count)]
      bytes.replaceSubrange(place..., with: other.dropFirst(below(other.count + 1)))
    case 6:
      let part = bytes[place..<end]
      for _ in 0..<below(64) where bytes.count < Self.longest { bytes.insert(contentsOf: part, at: place) }
    case 7:
      // A length, or a position, at its limits.
      let number = [UInt64(0), 0x7FFF_FFFF, 0xFFFF_FFFF, .max, 1 << 63][below(5)]
      for (index, at) in (place..<min(bytes.count, place + [1, 2, 4, 8][below(4)])).enumerated() {
        bytes[at] = UInt8(truncatingIfNeeded: number >> UInt64(8 * (3 - index & 3)))
      }
    default: bytes = Array(bytes.prefix(place))
    }
  }
}
