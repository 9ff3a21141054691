@testable import Invalidation

/// Replies of Redis out of any bytes: what is no RESP reads as an error reply.
enum ReplyText {
  static func replies(_ text: [UInt8]) -> [RedisReply] {
    var lines = text.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false)[...]
    var replies: [RedisReply] = []
    while !lines.isEmpty { replies.append(reply(&lines, depth: 0)) }
    return replies
  }

  /// A line each; a bulk string is `$` and its bytes, an array `*` and the number of replies that follow.
  private static func reply(_ lines: inout ArraySlice<ArraySlice<UInt8>>, depth: Int) -> RedisReply {
    guard let line = lines.popFirst(), let type = line.first else { return .null }
    let rest = Array(line.dropFirst())
    switch type {
    case UInt8(ascii: "+"): return .status(rest)
    case UInt8(ascii: ":"): return .integer(Int64(String(decoding: rest, as: UTF8.self)) ?? .max)
    case UInt8(ascii: "$"): return .bulk(rest)
    case UInt8(ascii: "*") where depth < 4:
      let count = min(Int(String(decoding: rest, as: UTF8.self)) ?? 0, lines.count)
      return .array((0..<max(0, count)).map { _ in reply(&lines, depth: depth + 1) })
    default: return .error(Array(line))
    }
  }
}

/// Commands as Redis reads them.
enum CommandText {
  static func commands(_ bytes: [UInt8]) throws -> [[[UInt8]]] {
    var rest = bytes[...]
    var commands: [[[UInt8]]] = []
    while !rest.isEmpty {
      let count = try number(after: "*", &rest)
      commands.append(try (0..<count).map { _ in try argument(&rest) })
    }
    return commands
  }

  private static func argument(_ rest: inout ArraySlice<UInt8>) throws -> [UInt8] {
    let count = try number(after: "$", &rest)
    let argument = Array(rest.prefix(count))
    rest = rest.dropFirst(count)
    try require(
      argument.count == count && rest.starts(with: "\r\n".utf8), "an argument does not end where it says")
    rest = rest.dropFirst(2)
    return argument
  }

  private static func number(after type: Character, _ rest: inout ArraySlice<UInt8>) throws -> Int {
    let line = rest.prefix { $0 != UInt8(ascii: "\r") }
    rest = rest.dropFirst(line.count)
    guard line.first == type.asciiValue, rest.starts(with: "\r\n".utf8),
      let number = Int(String(decoding: line.dropFirst(), as: UTF8.self)), number >= 0
    else { throw Violation("the bytes for Redis are no command") }
    rest = rest.dropFirst(2)
    return number
  }
}
