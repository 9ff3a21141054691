/// The envelope of every message of a replication stream.
///
///     XLogData   'w' start LSN:8 server's WAL end:8 send time:8 payload
///     keepalive  'k' server's WAL end:8 send time:8 reply requested:1
///
/// Source: PostgreSQL manual, chapter 55.4 "Streaming Replication Protocol".
enum ReplicationFrame: Equatable {
  /// `payload` is the offset of the plugin's message.
  case data(serverEnd: LSN, payload: Int)
  case keepalive(end: LSN, replyRequested: Bool)

  static func decode(_ bytes: Span<UInt8>) throws(DecodeError) -> ReplicationFrame {
    var cursor = ByteCursor(bytes)
    switch try cursor.uint8() {
    case UInt8(ascii: "w"):
      try cursor.skip(8)
      let end = LSN(try cursor.uint64())
      try cursor.skip(8)
      return .data(serverEnd: end, payload: cursor.offset)
    case UInt8(ascii: "k"):
      let end = LSN(try cursor.uint64())
      try cursor.skip(8)
      let reply = try cursor.uint8()
      return .keepalive(end: end, replyRequested: reply == 1)
    default: throw DecodeError(problem: "unknown replication message", offset: 0)
    }
  }
}
