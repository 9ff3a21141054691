/// One reply of Redis as it came off the wire.
///
/// Source: Redis serialization protocol specification, RESP2.
package indirect enum RedisReply: Sendable, Equatable {
  case status([UInt8])
  case error([UInt8])
  case integer(Int64)
  case bulk([UInt8])
  case null
  case array([RedisReply])
}
