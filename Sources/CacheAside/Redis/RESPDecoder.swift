import NIOCore

/// Bytes that are not a RESP2 reply.
public enum RESPError: Error, Equatable {
  /// No reply begins with this byte.
  case unknownType(UInt8)
  /// A number was expected between the type and the end of the line.
  case invalidNumber([UInt8])
  /// A negative length, a bulk string of more than 512 MiB, or an array of more than a million replies.
  case invalidLength(Int64)
  /// Arrays in arrays, deeper than any command answers.
  case tooDeep
  /// A line or a bulk string does not end with CR LF.
  case missingLineEnd
  /// A line of more than 64 KiB.
  case endlessLine
}

/// Reads replies out of a stream of bytes that arrives in fragments of any size.
///
/// Source: Redis serialization protocol specification, RESP2.
struct RESPDecoder: NIOSingleStepByteToMessageDecoder {
  typealias InboundOut = RESPReply

  private static let longestLine = 65_536
  private static let longestBulk: Int64 = 536_870_912
  private static let longestArray: Int64 = 1_048_576
  private static let deepest = 16

  /// Takes one reply off the buffer; nil, and the buffer untouched, when it is not complete.
  mutating func decode(buffer: inout ByteBuffer) throws(RESPError) -> RESPReply? {
    var rest = buffer
    guard let reply = try reply(&rest, depth: 0) else { return nil }
    buffer = rest
    return reply
  }

  mutating func decodeLast(buffer: inout ByteBuffer, seenEOF: Bool) throws(RESPError) -> RESPReply? {
    try decode(buffer: &buffer)
  }

  private func reply(_ buffer: inout ByteBuffer, depth: Int) throws(RESPError) -> RESPReply? {
    guard depth < Self.deepest else { throw .tooDeep }
    guard let type = buffer.getInteger(at: buffer.readerIndex, as: UInt8.self) else { return nil }
    guard "+-:$*".utf8.contains(type) else { throw .unknownType(type) }
    guard let line = try line(&buffer) else { return nil }
    switch type {
    case UInt8(ascii: "+"): return .simple(String(decoding: line, as: UTF8.self))
    case UInt8(ascii: "-"): return .error(String(decoding: line, as: UTF8.self))
    case UInt8(ascii: ":"): return .integer(try number(line))
    case UInt8(ascii: "$"): return try bulk(&buffer, length: try number(line))
    default: return try array(&buffer, count: try number(line), depth: depth)
    }
  }

  /// The rest of the line after the type, without CR LF.
  private func line(_ buffer: inout ByteBuffer) throws(RESPError) -> [UInt8]? {
    let view = buffer.readableBytesView.dropFirst()
    guard let end = view.prefix(Self.longestLine).firstIndex(of: UInt8(ascii: "\n")) else {
      if view.count >= Self.longestLine { throw .endlessLine }
      return nil
    }
    let line = Array(view[..<end])
    guard line.last == UInt8(ascii: "\r") else { throw .missingLineEnd }
    buffer.moveReaderIndex(to: end + 1)
    return line.dropLast()
  }

  private func number(_ line: [UInt8]) throws(RESPError) -> Int64 {
    guard let number = Int64(String(decoding: line, as: UTF8.self)) else { throw .invalidNumber(line) }
    return number
  }

  private func bulk(_ buffer: inout ByteBuffer, length: Int64) throws(RESPError) -> RESPReply? {
    if length == -1 { return .null }
    guard length >= 0, length <= Self.longestBulk else { throw .invalidLength(length) }
    guard buffer.readableBytes >= Int(length) + 2 else { return nil }
    guard let bytes = buffer.readBytes(length: Int(length)),
      buffer.readBytes(length: 2) == Array("\r\n".utf8)
    else { throw .missingLineEnd }
    return .bulk(bytes)
  }

  private func array(_ buffer: inout ByteBuffer, count: Int64, depth: Int) throws(RESPError) -> RESPReply? {
    if count == -1 { return .null }
    guard count >= 0, count <= Self.longestArray else { throw .invalidLength(count) }
    var replies: [RESPReply] = []
    for _ in 0..<count {
      guard let reply = try reply(&buffer, depth: depth + 1) else { return nil }
      replies.append(reply)
    }
    return .array(replies)
  }
}
