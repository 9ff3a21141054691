/// The name of a key's lease, in the same Redis Cluster slot as the key (contract 2).
///
/// `cdcd:l:` + key when the key has an effective hash tag, else `cdcd:l:{` + key + `}`.
/// Source for hash tags: Redis Cluster specification, "Hash tags".
package enum LeaseKey {
  static let prefix: StaticString = "cdcd:l:"

  package static func name(of key: [UInt8]) -> [UInt8] {
    var name = Array("cdcd:l:".utf8)
    if hasEffectiveHashTag(key[...]) {
      name += key
    } else {
      name += [UInt8(ascii: "{")] + key + [UInt8(ascii: "}")]
    }
    return name
  }

  /// The patterns that cover the leases of every key that `pattern` covers.
  static func patterns(for pattern: [UInt8]) -> [[UInt8]] {
    let prefix = Array("cdcd:l:".utf8)
    return [prefix + pattern, prefix + [UInt8(ascii: "{")] + pattern + [UInt8(ascii: "}")]]
  }

  /// Whether the first `{` is followed by a `}` with at least one byte between.
  @inline(__always)
  static func hasEffectiveHashTag(_ key: ArraySlice<UInt8>) -> Bool {
    guard let open = key.firstIndex(of: UInt8(ascii: "{")) else { return false }
    guard let close = key[(open + 1)...].firstIndex(of: UInt8(ascii: "}")) else { return false }
    return close > open + 1
  }

  /// Writes the lease of the key as one argument.
  @inline(__always)
  static func write(_ key: ArraySlice<UInt8>, to writer: inout CommandWriter) {
    let tagged = hasEffectiveHashTag(key)
    writer.beginArgument(length: prefix.utf8CodeUnitCount + key.count + (tagged ? 0 : 2))
    prefix.withUTF8Buffer { unsafe writer.append($0) }
    if !tagged { writer.append(CollectionOfOne(UInt8(ascii: "{"))) }
    writer.append(key)
    if !tagged { writer.append(CollectionOfOne(UInt8(ascii: "}"))) }
    writer.endLine()
  }
}
