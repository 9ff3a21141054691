import NIOCore
import Testing

@testable import CacheAside

@Suite struct RESPDecoderTests {
  private func decode(_ buffer: inout ByteBuffer) throws(RESPError) -> RESPReply? {
    var decoder = RESPDecoder()
    return try decoder.decode(buffer: &buffer)
  }

  private static let replies: [(String, RESPReply)] = [
    ("+OK\r\n", .simple("OK")), ("+\r\n", .simple("")),
    ("-NOSCRIPT No matching script.\r\n", .error("NOSCRIPT No matching script.")),
    (":0\r\n", .integer(0)), (":-9223372036854775808\r\n", .integer(.min)),
    ("$-1\r\n", .null), ("*-1\r\n", .null), ("$0\r\n\r\n", .bulk([])),
    ("$4\r\n\r\n\0+\r\n", .bulk([13, 10, 0, 43])),
    ("*0\r\n", .array([])), ("*1\r\n$1\r\nL\r\n", .array([.bulk([76])])),
    (
      "*3\r\n$1\r\nH\r\n*2\r\n:1\r\n$-1\r\n-E\r\n",
      .array([.bulk([72]), .array([.integer(1), .null]), .error("E")])
    ),
  ]

  @Test("each form of reply is read, and what follows is left alone", arguments: replies)
  func reads(_ text: String, _ reply: RESPReply) throws {
    var buffer = ByteBuffer(string: text + "+next\r\n")
    #expect(try decode(&buffer) == reply)
    #expect(try decode(&buffer) == .simple("next"))
    #expect(try decode(&buffer) == nil)
  }

  @Test("cut off after any byte, a reply waits for the rest and loses nothing", arguments: replies)
  func waits(_ text: String, _ reply: RESPReply) throws {
    let bytes = Array(text.utf8)
    for length in 0..<bytes.count {
      var buffer = ByteBuffer(bytes: bytes.prefix(length))
      #expect(try decode(&buffer) == nil, "after \(length) bytes")
      #expect(buffer.readableBytes == length)
      buffer.writeBytes(bytes.dropFirst(length))
      #expect(try decode(&buffer) == reply)
    }
  }

  @Test(
    "what is no reply is a typed error",
    arguments: [
      ("?\r\n", RESPError.unknownType(63)), ("HTTP/1.1 400 Bad Request\r\n", .unknownType(72)),
      ("*1\r\n!0\r\n", .unknownType(33)), (":\r\n", .invalidNumber([])),
      (":1x\r\n", .invalidNumber([49, 120])),
      (":9223372036854775808\r\n", .invalidNumber(Array("9223372036854775808".utf8))),
      ("$-2\r\n", .invalidLength(-2)), ("$536870913\r\n", .invalidLength(536_870_913)),
      ("*-2\r\n", .invalidLength(-2)), ("*1048577\r\n", .invalidLength(1_048_577)),
      ("+OK\n", .missingLineEnd), ("$1\r\nabc", .missingLineEnd),
      (String(repeating: "*1\r\n", count: 17), .tooDeep),
      ("+" + String(repeating: "x", count: 65_536), .endlessLine),
    ])
  func refuses(_ text: String, _ error: RESPError) {
    var buffer = ByteBuffer(string: text)
    #expect(throws: error) { try decode(&buffer) }
  }

  @Test("no single changed byte of a reply brings it down: a reply, an error, or waiting")
  func survivesChangedBytes() {
    for (text, _) in Self.replies {
      for position in text.utf8.indices {
        for byte in UInt8.min ... .max {
          var bytes = Array(text.utf8)
          bytes[text.utf8.distance(from: text.startIndex, to: position)] = byte
          var buffer = ByteBuffer(bytes: bytes)
          let reply = Result { try decode(&buffer) }
          if case .success(.some) = reply { continue }
          guard buffer.readableBytes == bytes.count else {
            Issue.record("bytes were taken off without a reply: \(bytes)")
            return
          }
        }
      }
    }
  }
}
