import NIOCore

@testable import CacheAside

extension EntryPoint {
  /// The bytes that a reader's Redis sends.
  static let resp = EntryPoint(
    name: "resp",
    words: ["+OK\r\n", "-ERR\r\n", ":1\r\n", "$-1\r\n", "*-1\r\n", "$1\r\nH\r\n", "*2\r\n", "536870912"]
  ) { bytes in
    let whole = decode(bytes, by: max(1, bytes.count))
    for size in [1, 3, 64] where bytes.count <= 4_096 {
      try require(
        decode(bytes, by: size) == whole, "in fragments of \(size) bytes it says otherwise than as a whole")
    }
  }

  private struct Decoded: Equatable {
    var replies: [RESPReply] = []
    var error: RESPError?
    var unread = 0
  }

  private static func decode(_ bytes: [UInt8], by size: Int) -> Decoded {
    var decoder = RESPDecoder()
    var buffer = ByteBuffer()
    var decoded = Decoded()
    do throws(RESPError) {
      for start in stride(from: 0, to: bytes.count, by: size) {
        buffer.writeBytes(bytes[start..<min(start + size, bytes.count)])
        while let reply = try decoder.decode(buffer: &buffer) { decoded.replies.append(reply) }
      }
      decoded.unread = buffer.readableBytes
    } catch {
      decoded.error = error
    }
    return decoded
  }
}
