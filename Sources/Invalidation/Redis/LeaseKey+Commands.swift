package import LeaseKeys

/// So that the engine names leases without knowing that readers name them in the same place.
package typealias LeaseKey = LeaseKeys.LeaseKey

extension LeaseKey {
  /// The patterns that cover the leases of every key that `pattern` covers.
  static func patterns(for pattern: [UInt8]) -> [[UInt8]] {
    let prefix = Array("cdcd:l:".utf8)
    return [prefix + pattern, prefix + [UInt8(ascii: "{")] + pattern + [UInt8(ascii: "}")]]
  }

  /// By how much the lease of a key is longer than the key, at most.
  static let overhead = 9

  /// Writes the lease of the key as one argument, without an allocation of its own.
  @inline(__always)
  static func write(_ key: Span<UInt8>, to output: inout OutputSpan<UInt8>) {
    let tagged = hasEffectiveHashTag(key)
    output.beginArgument(length: prefix.utf8CodeUnitCount + key.count + (tagged ? 0 : 2))
    output.append(prefix)
    if !tagged { output.append(UInt8(ascii: "{")) }
    output.append(key)
    if !tagged { output.append(UInt8(ascii: "}")) }
    output.endLine()
  }
}
