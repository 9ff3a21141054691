/// A reply of Redis.
///
/// Source: Redis serialization protocol specification, RESP2.
public enum RESPReply: Sendable, Equatable {
  /// A simple string, `OK` for instance.
  case simple(String)
  /// An error reply; its first word is a code: `NOSCRIPT`, `READONLY`, `OOM`.
  case error(String)
  /// An integer.
  case integer(Int64)
  /// A bulk string, any bytes.
  case bulk([UInt8])
  /// The null bulk string or the null array: no value.
  case null
  /// An array of replies.
  case array([RESPReply])
}
