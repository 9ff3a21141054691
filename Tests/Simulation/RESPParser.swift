/// Reads RESP2 commands (arrays of bulk strings) from fragments of any size, as a Redis server does.
///
/// Source: Redis serialization protocol specification.
struct RESPParser {
  enum Failure: Error, Equatable { case malformed(String) }

  private var buffer: [UInt8] = []
  private var start = 0

  /// Whether bytes of an unfinished command are held.
  var isMidway: Bool { start < buffer.count }

  mutating func append(_ bytes: some Sequence<UInt8>) { buffer.append(contentsOf: bytes) }

  /// The next complete command; nil when more bytes are needed.
  mutating func next() throws(Failure) -> [[UInt8]]? {
    var position = start
    guard let count = try number(UInt8(ascii: "*"), &position) else { return nil }
    var arguments: [[UInt8]] = []
    arguments.reserveCapacity(count)
    for _ in 0..<count {
      guard let length = try number(UInt8(ascii: "$"), &position) else { return nil }
      guard buffer.count >= position + length + 2 else { return nil }
      arguments.append(Array(buffer[position..<position + length]))
      guard buffer[position + length] == 13, buffer[position + length + 1] == 10 else {
        throw .malformed("bulk string of \(length) bytes does not end with CRLF")
      }
      position += length + 2
    }
    start = position
    if start == buffer.count {
      buffer.removeAll(keepingCapacity: true)
      start = 0
    } else if start > 65_536 {
      buffer.removeFirst(start)
      start = 0
    }
    return arguments
  }

  private func number(_ marker: UInt8, _ position: inout Int) throws(Failure) -> Int? {
    guard position < buffer.count else { return nil }
    guard buffer[position] == marker else {
      throw .malformed("expected '\(Character(UnicodeScalar(marker)))', found byte \(buffer[position])")
    }
    var value = 0
    var digits = 0
    var index = position + 1
    while index < buffer.count, buffer[index] != 13 {
      guard buffer[index] >= 48, buffer[index] <= 57, digits < 9 else {
        throw .malformed("not a length: byte \(buffer[index])")
      }
      value = value * 10 + Int(buffer[index] - 48)
      digits += 1
      index += 1
    }
    guard index + 1 < buffer.count else { return nil }
    guard digits > 0, buffer[index + 1] == 10 else { throw .malformed("length line does not end with CRLF") }
    position = index + 2
    return value
  }
}
