/// The name of a key's lease, in the same Redis Cluster slot as the key (contract 2).
///
/// `cdcd:l:` + key when the key has an effective hash tag, else `cdcd:l:{` + key + `}`. cdcd, which deletes leases,
/// and CacheAside, which takes them, both name them here.
/// Source for hash tags: Redis Cluster specification, "Hash tags".
package enum LeaseKey {
  /// What every lease begins with.
  package static let prefix: StaticString = "cdcd:l:"

  /// The lease of a key.
  package static func name(of key: [UInt8]) -> [UInt8] {
    var name = Array("cdcd:l:".utf8)
    if hasEffectiveHashTag(key.span) {
      name += key
    } else {
      name += [UInt8(ascii: "{")] + key + [UInt8(ascii: "}")]
    }
    return name
  }

  /// Whether the first `{` is followed by a `}` with at least one byte between.
  @inlinable
  package static func hasEffectiveHashTag(_ key: Span<UInt8>) -> Bool {
    var open = 0
    while open < key.count, key[open] != UInt8(ascii: "{") { open += 1 }
    var close = open + 1
    while close < key.count, key[close] != UInt8(ascii: "}") { close += 1 }
    return close < key.count && close > open + 1
  }
}
