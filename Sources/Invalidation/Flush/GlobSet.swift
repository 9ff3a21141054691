/// Many globs, of which those that cover a key are found without a look at each: by the literal text that they begin with.
struct GlobSet: Sendable {
  private let globs: [[UInt8]]
  /// The places of the globs that begin with this text and nothing longer.
  private let placesByPrefix: [ArraySlice<UInt8>: [Int]]
  /// Of the prefixes, each length once.
  private let lengths: [Int]
  /// A glob that covers whatever one of them covers, for SCAN: the glob itself when there is one alone.
  let union: [UInt8]

  init(_ globs: [[UInt8]]) {
    self.globs = globs
    let prefixes = globs.map(GlobSet.literalPrefix)
    placesByPrefix = Dictionary(grouping: globs.indices) { prefixes[$0] }
    lengths = Set(prefixes.map(\.count)).sorted()
    union = globs.count == 1 ? globs[0] : GlobSet.shared(prefixes) + [UInt8(ascii: "*")]
  }

  /// The places of those that cover the key, in no particular order.
  func places(covering key: [UInt8]) -> [Int] {
    var places: [Int] = []
    for length in lengths where length <= key.count {
      for place in placesByPrefix[key[..<length]] ?? [] where Glob.matches(globs[place], key) {
        places.append(place)
      }
    }
    return places
  }

  private static func literalPrefix(_ glob: [UInt8]) -> ArraySlice<UInt8> {
    glob.prefix { !"*?[\\".utf8.contains($0) }
  }

  /// What all of them begin with.
  private static func shared(_ prefixes: [ArraySlice<UInt8>]) -> ArraySlice<UInt8> {
    prefixes.dropFirst().reduce(prefixes.first ?? []) { shared, prefix in
      shared.prefix(zip(shared, prefix).prefix { $0 == $1 }.count)
    }
  }
}
