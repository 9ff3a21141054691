/// A JSON value whose numbers keep their digits: `1.50` stays `1.50`, as PostgreSQL prints it.
///
/// Source: RFC 8259.
package enum JSONText: Equatable, Sendable {
  case null
  case boolean(Bool)
  case number(String)
  case string(String)
  case array([JSONText])
  /// In the order of the text; each name once.
  case object([Member])

  package struct Member: Equatable, Sendable {
    package var name: String
    package var value: JSONText

    package init(_ name: String, _ value: JSONText) {
      self.name = name
      self.value = value
    }
  }

  package struct SyntaxError: Error, Equatable, CustomStringConvertible {
    /// Bytes of UTF-8 from the start of the text.
    package var offset: Int
    package var expected: String
    package var description: String { "byte \(offset): expected \(expected)" }
  }

  package init(parsing text: String) throws(SyntaxError) {
    var parser = JSONParser(bytes: Array(text.utf8))
    self = try parser.document()
  }
}

private struct JSONParser {
  /// A value nested deeper than this is no row.
  private static let deepest = 64

  let bytes: [UInt8]
  private var position = 0
  private var depth = 0

  init(bytes: [UInt8]) { self.bytes = bytes }

  private var next: UInt8? { position < bytes.count ? bytes[position] : nil }

  private func failure(_ expected: String) -> JSONText.SyntaxError {
    JSONText.SyntaxError(offset: position, expected: expected)
  }

  mutating func document() throws(JSONText.SyntaxError) -> JSONText {
    let value = try value()
    guard next == nil else { throw failure("the end") }
    return value
  }

  /// One value, and the white space around it.
  private mutating func value() throws(JSONText.SyntaxError) -> JSONText {
    skipSpace()
    defer { skipSpace() }
    switch next {
    case UInt8(ascii: "{"): return .object(try members())
    case UInt8(ascii: "["): return .array(try elements())
    case UInt8(ascii: "\""): return .string(try string())
    case let byte? where byte == UInt8(ascii: "-") || byte.isDigit: return .number(try number())
    default: break
    }
    for (word, value) in [("null", JSONText.null), ("true", .boolean(true)), ("false", .boolean(false))]
    where bytes[position...].starts(with: word.utf8) {
      position += word.utf8.count
      return value
    }
    throw failure("a value")
  }

  private mutating func skipSpace() {
    while let byte = next, [0x20, 0x09, 0x0A, 0x0D].contains(byte) { position += 1 }
  }

  private mutating func take(_ character: Unicode.Scalar) -> Bool {
    guard next == UInt8(ascii: character) else { return false }
    position += 1
    return true
  }

  private mutating func enter() throws(JSONText.SyntaxError) {
    depth += 1
    guard depth <= Self.deepest else { throw failure("a value that is less deep") }
    position += 1
    skipSpace()
  }

  private mutating func members() throws(JSONText.SyntaxError) -> [JSONText.Member] {
    try enter()
    defer { depth -= 1 }
    var members: [JSONText.Member] = []
    var names: Set<String> = []
    if take("}") { return members }
    repeat {
      skipSpace()
      let start = position
      let name = try string()
      guard names.insert(name).inserted else {
        throw JSONText.SyntaxError(offset: start, expected: "each name once")
      }
      skipSpace()
      guard take(":") else { throw failure(":") }
      members.append(JSONText.Member(name, try value()))
    } while take(",")
    guard take("}") else { throw failure(", or }") }
    return members
  }

  private mutating func elements() throws(JSONText.SyntaxError) -> [JSONText] {
    try enter()
    defer { depth -= 1 }
    var elements: [JSONText] = []
    if take("]") { return elements }
    repeat { elements.append(try value()) } while take(",")
    guard take("]") else { throw failure(", or ]") }
    return elements
  }

  private mutating func number() throws(JSONText.SyntaxError) -> String {
    let start = position
    _ = take("-")
    if !take("0") { try digits() }
    if take(".") { try digits() }
    if take("e") || take("E") {
      _ = take("+") || take("-")
      try digits()
    }
    return String(decoding: bytes[start..<position], as: UTF8.self)
  }

  private mutating func digits() throws(JSONText.SyntaxError) {
    let start = position
    while let byte = next, byte.isDigit { position += 1 }
    guard position > start else { throw failure("a digit") }
  }

  private mutating func string() throws(JSONText.SyntaxError) -> String {
    guard take("\"") else { throw failure("a text in double quotes") }
    var content: [UInt8] = []
    while let byte = next {
      guard byte >= 0x20 else { break }
      position += 1
      switch byte {
      case UInt8(ascii: "\""): return String(decoding: content, as: UTF8.self)
      case UInt8(ascii: "\\"): content += String(try escape()).utf8
      default: content.append(byte)
      }
    }
    throw failure("the end of the text: \"")
  }

  /// What follows a backslash.
  private mutating func escape() throws(JSONText.SyntaxError) -> Unicode.Scalar {
    let simple: [(Unicode.Scalar, Unicode.Scalar)] = [
      ("\"", "\""), ("\\", "\\"), ("/", "/"), ("b", "\u{8}"), ("f", "\u{C}"), ("n", "\n"), ("r", "\r"),
      ("t", "\t"),
    ]
    for (letter, scalar) in simple where take(letter) { return scalar }
    guard take("u") else { throw failure("an escape") }
    let unit = try codeUnit()
    if let scalar = Unicode.Scalar(unit) { return scalar }
    guard unit < 0xDC00, take("\\"), take("u") else { throw failure("the second half of a surrogate pair") }
    let low = try codeUnit()
    guard (0xDC00..<0xE000).contains(low),
      let scalar = Unicode.Scalar(0x10000 + ((unit - 0xD800) << 10) + (low - 0xDC00))
    else { throw failure("the second half of a surrogate pair") }
    return scalar
  }

  private mutating func codeUnit() throws(JSONText.SyntaxError) -> UInt32 {
    let digits = bytes[position...].prefix(4)
    guard digits.count == 4, digits.allSatisfy({ Character(Unicode.Scalar($0)).isHexDigit }),
      let unit = UInt32(String(decoding: digits, as: UTF8.self), radix: 16)
    else { throw failure("four hexadecimal digits") }
    position += 4
    return unit
  }
}

extension UInt8 {
  fileprivate var isDigit: Bool { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(self) }
}
