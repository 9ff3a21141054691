import LeaseKeys

/// A Redis key: any bytes. A string literal is one, also with values in it: `"user:\(id)"`.
public struct CacheKey: Hashable, Sendable, ExpressibleByStringInterpolation {
  /// As they go to Redis.
  public let bytes: [UInt8]

  /// A key of any bytes.
  public init(_ bytes: [UInt8]) { self.bytes = bytes }

  /// The UTF-8 of a string.
  public init(_ text: String) { bytes = Array(text.utf8) }

  /// The UTF-8 of a string literal.
  public init(stringLiteral text: String) { self.init(text) }

  /// The key's lease, which cdcd deletes together with the key: `cdcd:l:` + key when the key has an effective
  /// Redis hash tag, else `cdcd:l:{` + key + `}`.
  public var lease: CacheKey { CacheKey(LeaseKey.name(of: bytes)) }
}
