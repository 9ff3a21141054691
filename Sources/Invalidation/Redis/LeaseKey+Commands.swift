package import LeaseKeys

/// So that the engine names leases without knowing that readers name them in the same place.
package typealias LeaseKey = LeaseKeys.LeaseKey

extension LeaseKey {
  /// The patterns that cover the leases of every key that `pattern` covers.
  static func patterns(for pattern: [UInt8]) -> [[UInt8]] {
    let prefix = Array("cdcd:l:".utf8)
    return [prefix + pattern, prefix + [UInt8(ascii: "{")] + pattern + [UInt8(ascii: "}")]]
  }

  /// Writes the lease of the key as one argument, without an allocation of its own.
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
