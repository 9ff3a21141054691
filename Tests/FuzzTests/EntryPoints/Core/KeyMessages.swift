@testable import Invalidation

extension EntryPoint {
  /// A message that names keys: the lines of a logical one, or the list of a row of the outbox.
  static let keyMessage = EntryPoint(
    name: "key-message",
    words: ["key ", "\nkey ", "\n", "cdcd:wm:", "cdcd:rules:", "cdcd:l:{", "[\"", "\", \"", "\"]", "\\u0000"]
  ) { bytes in
    let lines = bytes.split(separator: UInt8(ascii: "\n"))
    let (keys, problems) = KeyMessages.ofLines(bytes)
    try require(keys.allSatisfy { !WatermarkKeys.isOwn($0) && !$0.isEmpty }, "a key is no key")
    try require(problems.isEmpty == (keys.count == lines.count), "a line is neither a key nor a problem")
    // Lines that are keys by themselves, in this order.
    let alone = lines.flatMap { KeyMessages.ofLines(Array($0)).keys }
    try require(keys == alone, "a line means something else among others")
    for key in keys {
      try require(lines.contains { $0.elementsEqual("key ".utf8 + key) }, "a key is no line's rest")
    }
    do throws(DecodeError) {
      try KeyMessages.requireList(bytes)
    } catch {
      try require(0...bytes.count ~= error.offset, "\(error) is outside of the list")
    }
  }
}

private enum KeyMessages {
  static func ofLines(_ bytes: [UInt8]) -> (keys: [[UInt8]], problems: [KeyMessage.Problem]) {
    var keys = KeyBuffer()
    var problems: [KeyMessage.Problem] = []
    KeyMessage.decode(lines: bytes.span, rule: 0, into: &keys, &problems)
    return ((0..<keys.count).map { keys[$0] }, problems)
  }

  static func requireList(_ bytes: [UInt8]) throws(DecodeError) {
    var keys = KeyBuffer()
    var problems: [KeyMessage.Problem] = []
    try KeyMessage.decode(list: bytes.span, rule: 0, into: &keys, &problems)
  }
}
