/// A reading position in a JSON text: bounds-checked, and every value as the text it stands for, so that a number keeps
/// its digits.
///
/// Values are not copied: the reader passes along a copy of the bytes, and is told where in it they lie. Escapes are undone
/// there, in place, since what they stand for is shorter.
///
/// Source: RFC 8259.
struct JSONCursor: ~Escapable {
  let bytes: Span<UInt8>
  private(set) var offset: Int
  /// The end of the last string that had an escape: from there on the copy is still as the bytes are.
  private(set) var endOfEscapes = 0

  @_lifetime(copy bytes)
  init(_ bytes: Span<UInt8>, at offset: Int = 0) {
    self.bytes = bytes
    self.offset = offset
  }

  enum Value: Equatable {
    case null
    /// Its first letter lies there.
    case boolean(Bool, at: Int)
    case number(Range<Int>)
    /// Without its quotes, and unescaped in the copy that was passed along.
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

  /// Whether these bytes are next, which are then taken.
  @_lifetime(self: copy self)
  @inline(__always)
  mutating func skip(_ run: Span<UInt8>) -> Bool {
    guard bytes.has(run, at: offset) else { return false }
    offset += run.count
    return true
  }

  /// A value that is neither an object nor an array.
  @_lifetime(self: copy self)
  mutating func scalar(in copy: inout [UInt8]) throws(DecodeError) -> Value {
    switch peek() {
    case UInt8(ascii: "\""): return .string(try string(in: &copy))
    case UInt8(ascii: "n"): return try word("null", .null)
    case UInt8(ascii: "t"): return try word("true", .boolean(true, at: offset))
    case UInt8(ascii: "f"): return try word("false", .boolean(false, at: offset))
    case let byte? where byte == UInt8(ascii: "-") || JSONCursor.isDigit(byte): return .number(try number())
    default: throw error("expected a value")
    }
  }

  private static func isDigit(_ byte: UInt8) -> Bool { 0x30...0x39 ~= byte }

  @_lifetime(self: copy self)
  private mutating func word(_ word: StaticString, _ value: Value) throws(DecodeError) -> Value {
    guard word.utf8CodeUnitCount <= bytes.count - offset else { throw error("the message ends too early") }
    guard bytes.matches(offset..<offset + word.utf8CodeUnitCount, word) else {
      throw error("expected \(word)")
    }
    offset += word.utf8CodeUnitCount
    return value
  }

  @_lifetime(self: copy self)
  private mutating func number() throws(DecodeError) -> Range<Int> {
    let start = offset
    var hasDigit = false
    while offset < bytes.count {
      switch bytes[offset] {
      case UInt8(ascii: "0")...UInt8(ascii: "9"): hasDigit = true
      case UInt8(ascii: "-"), UInt8(ascii: "+"), UInt8(ascii: "."), UInt8(ascii: "e"), UInt8(ascii: "E"):
        break
      default:
        guard hasDigit else { throw error("expected a digit") }
        return start..<offset
      }
      offset += 1
    }
    throw error("the message ends in a number")
  }

  // MARK: Strings

  /// Where the string lies in the copy, without its quotes and escapes.
  @_lifetime(self: copy self)
  @inline(__always)
  mutating func string(in copy: inout [UInt8]) throws(DecodeError) -> Range<Int> {
    try take(UInt8(ascii: "\""))
    let start = offset
    offset = bytes.endOfPlainText(from: start)
    guard offset < bytes.count, bytes[offset] == UInt8(ascii: "\"") else {
      return try escapedString(from: start, in: &copy)
    }
    offset += 1
    return start..<offset - 1
  }

  /// Goes on with a string after the run that stands for itself.
  @_lifetime(self: copy self)
  @inline(never)
  private mutating func escapedString(from start: Int, in copy: inout [UInt8]) throws(DecodeError) -> Range<
    Int
  > {
    var end = offset
    while offset < bytes.count {
      switch bytes[offset] {
      case UInt8(ascii: "\""):
        offset += 1
        endOfEscapes = offset
        return start..<end
      case UInt8(ascii: "\\"):
        offset += 1
        try escape(in: &copy, at: &end)
      case 0..<0x20: throw error("a control character in a string")
      default:
        let run = offset..<bytes.endOfPlainText(from: offset)
        for place in run { JSONCursor.put(bytes[place], in: &copy, at: &end) }
        offset = run.upperBound
      }
    }
    throw error("a string has no end")
  }

  @_lifetime(self: copy self)
  private mutating func escape(in copy: inout [UInt8], at end: inout Int) throws(DecodeError) {
    guard offset < bytes.count else { throw error("a string has no end") }
    let kind = bytes[offset]
    offset += 1
    switch kind {
    case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): JSONCursor.put(kind, in: &copy, at: &end)
    case UInt8(ascii: "b"): JSONCursor.put(0x08, in: &copy, at: &end)
    case UInt8(ascii: "f"): JSONCursor.put(0x0C, in: &copy, at: &end)
    case UInt8(ascii: "n"): JSONCursor.put(0x0A, in: &copy, at: &end)
    case UInt8(ascii: "r"): JSONCursor.put(0x0D, in: &copy, at: &end)
    case UInt8(ascii: "t"): JSONCursor.put(0x09, in: &copy, at: &end)
    case UInt8(ascii: "u"): for byte in try scalar().utf8 { JSONCursor.put(byte, in: &copy, at: &end) }
    default:
      offset -= 1
      throw error("an unknown escape in a string")
    }
  }

  @inline(__always)
  private static func put(_ byte: UInt8, in copy: inout [UInt8], at end: inout Int) {
    copy[end] = byte
    end += 1
  }

  /// After `\u`: four digits, and those of a low surrogate after a high one.
  @_lifetime(self: copy self)
  private mutating func scalar() throws(DecodeError) -> UnicodeScalar {
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
    return scalar
  }

  @_lifetime(self: copy self)
  private mutating func hexadecimal() throws(DecodeError) -> UInt32 {
    var code: UInt32 = 0
    for _ in 0..<4 {
      guard offset < bytes.count, let digit = bytes[offset].hexadecimalDigit else {
        throw error("expected a hexadecimal digit")
      }
      code = code << 4 | UInt32(digit)
      offset += 1
    }
    return code
  }

  // MARK: Values that nobody wants

  /// Takes a value of any kind.
  @_lifetime(self: copy self)
  mutating func skipValue(_ copy: inout [UInt8], depth: Int = 0) throws(DecodeError) {
    guard depth < JSONCursor.deepest else { throw error("a value is nested too deeply") }
    if skip(UInt8(ascii: "[")) {
      if skip(UInt8(ascii: "]")) { return }
      repeat { try skipValue(&copy, depth: depth + 1) } while try goesOn(until: UInt8(ascii: "]"))
    } else if skip(UInt8(ascii: "{")) {
      if skip(UInt8(ascii: "}")) { return }
      repeat {
        _ = try string(in: &copy)
        try take(UInt8(ascii: ":"))
        try skipValue(&copy, depth: depth + 1)
      } while try goesOn(until: UInt8(ascii: "}"))
    } else {
      _ = try scalar(in: &copy)
    }
  }

  private static let deepest = 64
}
