/// Decodes messages by which a transaction names keys that no rule derives. The content of a logical message with the prefix
/// `cdcd` is a line for each key, which goes to the line's end, byte for byte; empty lines mean nothing:
///
///     key user:42
///     key user:42:orders
///
/// A row of the outbox has a list: `["user:42", "user:42:orders"]`.
///
/// Source: README, "Keys that no rule derives", and `sql/outbox.sql`, `cdcd.invalidate`.
enum KeyMessage {
  /// Why a message, or a line of it, names no key: for the log, with the remedy, and without the key.
  enum Problem: String, Sendable {
    case noRule = "no rule takes messages; add `- messages: true` to the rules"
    case notTransactional =
      "it waits for no commit; send it by pg_logical_emit_message(true, 'cdcd', ...)"
    case tooManyLines = "it is longer than 2 MiB; name keys in several messages"
    case unknownLine = "a line does not begin with `key` and a blank; write `key user:42` in each"
    case emptyKey = "a key is empty; name one"
    case zeroByte = "a key has a zero byte, at which wal2json ends a message; name keys without"
    case tooLong = "a key is longer than 1 MiB; name shorter ones"
    case ownKey = "a key begins with cdcd:wm: or cdcd:rules:, and is cdcd's own; cache nothing there"
  }

  /// A longer message is refused as a whole: nothing else happens while one is read, and it may have 1 GB.
  static let byteLimit = 2 << 20

  /// Appends the keys that the lines name, and what is wrong with the other lines, each problem once.
  static func decode(
    lines content: Span<UInt8>, rule: UInt32, into keys: inout KeyBuffer, _ problems: inout [Problem]
  ) {
    guard content.count <= byteLimit else { return problems.append(.tooManyLines) }
    var start = 0
    while start < content.count {
      var end = start
      while end < content.count, content[end] != UInt8(ascii: "\n") { end += 1 }
      if start < end, let problem = line(content, start..<end, rule, &keys), !problems.contains(problem) {
        problems.append(problem)
      }
      start = end + 1
    }
  }

  /// Appends the keys of a list, and what is wrong with the others, each problem once. An error leaves those before it.
  static func decode(
    list content: Span<UInt8>, rule: UInt32, into keys: inout KeyBuffer, _ problems: inout [Problem]
  ) throws(DecodeError) {
    var text = [UInt8](content)
    var cursor = JSONCursor(content)
    try cursor.take(UInt8(ascii: "["))
    if !cursor.skip(UInt8(ascii: "]")) {
      repeat {
        let key = try cursor.string(in: &text)
        if let problem = keys.append(named: key, of: text.span, rule: rule), !problems.contains(problem) {
          problems.append(problem)
        }
      } while try cursor.goesOn(until: UInt8(ascii: "]"))
    }
    try cursor.end()
  }

  private static func line(
    _ content: Span<UInt8>, _ line: Range<Int>, _ rule: UInt32, _ keys: inout KeyBuffer
  ) -> Problem? {
    let verb: StaticString = "key "
    for index in 0..<verb.utf8CodeUnitCount {
      guard index < line.count, unsafe content[line.lowerBound + index] == verb.utf8Start[index] else {
        return .unknownLine
      }
    }
    return keys.append(
      named: line.lowerBound + verb.utf8CodeUnitCount..<line.upperBound, of: content, rule: rule)
  }
}

extension KeyBuffer {
  /// Appends a key that lies there in the text, or answers why it is none.
  mutating func append(named key: Range<Int>, of text: Span<UInt8>, rule: UInt32) -> KeyMessage.Problem? {
    if key.isEmpty { return .emptyKey }
    if key.count > BoundRule.keyByteLimit { return .tooLong }
    write(text.extracting(key))
    let problem: KeyMessage.Problem? =
      text.extracting(key).contains(0) ? .zeroByte : WatermarkKeys.isOwn(openBytes) ? .ownKey : nil
    problem == nil ? close(rule: rule) : abandon()
    return problem
  }
}
