/// A reading position in a JSON text: bounds-checked, and every value as the text it stands for, so that a number keeps
/// its digits.
///
/// Source: RFC 8259.
struct JSONCursor: ~Escapable {
  let bytes: Span<UInt8>
  private(set) var offset: Int

  @_lifetime(copy bytes)
  init(_ bytes: Span<UInt8>, at offset: Int = 0) {
    self.bytes = bytes
    self.offset = offset
  }

  enum Value: Equatable {
    case null
    case boolean(Bool)
    /// Its digits lie there in the text that was passed along.
    case number(Range<Int>)
    /// Unescaped, likewise.
    case string(Range<Int>)
  }

  func error(_ problem: String) -> DecodeError { DecodeError(problem: problem, offset: offset) }

  /// The next byte that is no white space; nil at the end.
  @_lifetime(self: copy self)
  @inline(__always)
  mutating func peek() -> UInt8? {
    while offset < bytes.count {
      let byte = bytes[offset]
      if byte > 0x20 { return byte }
      guard byte == 0x20 || byte == 0x0A || byte == 0x0D || byte == 0x09 else { return byte }
      offset += 1
    }
    return nil
  }

  @_lifetime(self: copy self)
  @inline(__always)
  mutating func take(_ byte: UInt8) throws(DecodeError) {
    guard peek() == byte else { throw error("expected \(Character(UnicodeScalar(byte)))") }
    offset += 1
  }

  /// Whether the byte is next, which is then taken.
  @_lifetime(self: copy self)
  @inline(__always)
  mutating func skip(_ byte: UInt8) -> Bool {
    guard peek() == byte else { return false }
    offset += 1
    return true
  }

  /// Nothing but white space may follow.
  @_lifetime(self: copy self)
  mutating func end() throws(DecodeError) {
    guard peek() == nil else { throw error("the message goes on after its end") }
  }

  /// Goes on in an object or an array after a value; false at its closing byte, which is taken.
  @_lifetime(self: copy self)
  @inline(__always)
  mutating func goesOn(until close: UInt8) throws(DecodeError) -> Bool {
    if skip(UInt8(ascii: ",")) { return true }
    try take(close)
    return false
  }

  /// A value that is neither an object nor an array.
  @_lifetime(self: copy self)
  mutating func scalar(into text: inout [UInt8]) throws(DecodeError) -> Value {
    switch peek() {
    case UInt8(ascii: "\""): return .string(try string(into: &text))
    case UInt8(ascii: "n"): return try word("null", .null)
    case UInt8(ascii: "t"): return try word("true", .boolean(true))
    case UInt8(ascii: "f"): return try word("false", .boolean(false))
    case let byte? where byte == UInt8(ascii: "-") || JSONCursor.isDigit(byte):
      return .number(try number(into: &text))
    default: throw error("expected a value")
    }
  }

  private static func isDigit(_ byte: UInt8) -> Bool { 0x30...0x39 ~= byte }

  @_lifetime(self: copy self)
  private mutating func word(_ word: StaticString, _ value: Value) throws(DecodeError) -> Value {
    guard word.utf8CodeUnitCount <= bytes.count - offset else { throw error("the message ends too early") }
    for index in 0..<word.utf8CodeUnitCount
    where unsafe bytes[offset + index] != word.utf8Start[index] {
      throw error("expected \(word)")
    }
    offset += word.utf8CodeUnitCount
    return value
  }

  @_lifetime(self: copy self)
  private mutating func number(into text: inout [UInt8]) throws(DecodeError) -> Range<Int> {
    let start = text.count
    var hasDigit = false
    while offset < bytes.count {
      let byte = bytes[offset]
      switch byte {
      case UInt8(ascii: "0")...UInt8(ascii: "9"): hasDigit = true
      case UInt8(ascii: "-"), UInt8(ascii: "+"), UInt8(ascii: "."), UInt8(ascii: "e"), UInt8(ascii: "E"):
        break
      default:
        guard hasDigit else { throw error("expected a digit") }
        return start..<text.count
      }
      text.append(byte)
      offset += 1
    }
    throw error("the message ends in a number")
  }

  /// Appends the string without its quotes and escapes.
  @_lifetime(self: copy self)
  mutating func string(into text: inout [UInt8]) throws(DecodeError) -> Range<Int> {
    try take(UInt8(ascii: "\""))
    let start = text.count
    while offset < bytes.count {
      let byte = bytes[offset]
      offset += 1
      switch byte {
      case UInt8(ascii: "\""): return start..<text.count
      case UInt8(ascii: "\\"): try escape(into: &text)
      case 0..<0x20:
        offset -= 1
        throw error("a control character in a string")
      default: text.append(byte)
      }
    }
    throw error("a string has no end")
  }

  @_lifetime(self: copy self)
  private mutating func escape(into text: inout [UInt8]) throws(DecodeError) {
    guard offset < bytes.count else { throw error("a string has no end") }
    let kind = bytes[offset]
    offset += 1
    switch kind {
    case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): text.append(kind)
    case UInt8(ascii: "b"): text.append(0x08)
    case UInt8(ascii: "f"): text.append(0x0C)
    case UInt8(ascii: "n"): text.append(0x0A)
    case UInt8(ascii: "r"): text.append(0x0D)
    case UInt8(ascii: "t"): text.append(0x09)
    case UInt8(ascii: "u"): text.append(contentsOf: String(try scalar()).utf8)
    default:
      offset -= 1
      throw error("an unknown escape in a string")
    }
  }

  /// After `\u`: four digits, and those of a low surrogate after a high one.
  @_lifetime(self: copy self)
  private mutating func scalar() throws(DecodeError) -> Character {
    var code = try hexadecimal()
    if 0xD800...0xDBFF ~= code {
      guard offset + 1 < bytes.count, bytes[offset] == UInt8(ascii: "\\"),
        bytes[offset + 1] == UInt8(ascii: "u")
      else { throw error("half of a surrogate pair") }
      offset += 2
      let low = try hexadecimal()
      guard 0xDC00...0xDFFF ~= low else { throw error("half of a surrogate pair") }
      code = 0x1_0000 + (code - 0xD800) << 10 + (low - 0xDC00)
    }
    guard let scalar = UnicodeScalar(code) else { throw error("half of a surrogate pair") }
    return Character(scalar)
  }

  @_lifetime(self: copy self)
  private mutating func hexadecimal() throws(DecodeError) -> UInt32 {
    var code: UInt32 = 0
    for _ in 0..<4 {
      guard offset < bytes.count, let digit = Character(UnicodeScalar(bytes[offset])).hexDigitValue else {
        throw error("expected a hexadecimal digit")
      }
      code = code << 4 | UInt32(digit)
      offset += 1
    }
    return code
  }

  /// Takes a value of any kind, `text` being left as it was.
  @_lifetime(self: copy self)
  mutating func skipValue(_ text: inout [UInt8], depth: Int = 0) throws(DecodeError) {
    let start = text.count
    defer { text.removeSubrange(start...) }
    guard depth < JSONCursor.deepest else { throw error("a value is nested too deeply") }
    if skip(UInt8(ascii: "[")) {
      if skip(UInt8(ascii: "]")) { return }
      repeat { try skipValue(&text, depth: depth + 1) } while try goesOn(until: UInt8(ascii: "]"))
    } else if skip(UInt8(ascii: "{")) {
      if skip(UInt8(ascii: "}")) { return }
      repeat {
        _ = try string(into: &text)
        try take(UInt8(ascii: ":"))
        try skipValue(&text, depth: depth + 1)
      } while try goesOn(until: UInt8(ascii: "}"))
    } else {
      _ = try scalar(into: &text)
    }
  }

  private static let deepest = 64
}
