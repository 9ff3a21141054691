/// A message that is not what its format says.
package struct DecodeError: Error, Sendable, Equatable, CustomStringConvertible {
  package var problem: String
  /// Bytes from the start of the message.
  package var offset: Int

  package var description: String { problem + " at byte " + String(offset) }
}

extension [UInt8] {
  /// A copy, for what outlives the message.
  init(_ span: Span<UInt8>) {
    self = unsafe span.withUnsafeBufferPointer { unsafe Array($0) }
  }

  mutating func append(_ span: Span<UInt8>) {
    unsafe span.withUnsafeBufferPointer { unsafe append(contentsOf: $0) }
  }
}

extension Span<UInt8> {
  func contains(_ byte: UInt8) -> Bool {
    for index in indices where self[index] == byte { return true }
    return false
  }

  func starts(with text: StaticString) -> Bool {
    guard text.utf8CodeUnitCount <= count else { return false }
    for index in 0..<text.utf8CodeUnitCount where unsafe self[index] != text.utf8Start[index] { return false }
    return true
  }
}

/// A reading position in a message: bounds-checked, big-endian.
struct ByteCursor: ~Escapable {
  let bytes: Span<UInt8>
  private(set) var offset: Int

  @_lifetime(copy bytes)
  init(_ bytes: Span<UInt8>, at offset: Int = 0) {
    self.bytes = bytes
    self.offset = offset
  }

  var isAtEnd: Bool { offset == bytes.count }

  /// To where a copy of it has come.
  @_lifetime(self: copy self)
  mutating func move(to offset: Int) { self.offset = offset }

  func error(_ problem: String) -> DecodeError { DecodeError(problem: problem, offset: offset) }

  @_lifetime(self: copy self)
  @inline(__always)
  private mutating func take(_ count: Int) throws(DecodeError) -> Int {
    guard count <= bytes.count - offset else { throw error("the message ends too early") }
    let start = offset
    offset += count
    return start
  }

  @_lifetime(self: copy self)
  @inline(__always)
  mutating func uint8() throws(DecodeError) -> UInt8 {
    bytes[try take(1)]
  }

  @_lifetime(self: copy self)
  @inline(__always)
  mutating func uint16() throws(DecodeError) -> UInt16 {
    let at = try take(2)
    return unsafe UInt16(bigEndian: bytes.bytes.unsafeLoadUnaligned(fromByteOffset: at, as: UInt16.self))
  }

  @_lifetime(self: copy self)
  @inline(__always)
  mutating func uint32() throws(DecodeError) -> UInt32 {
    let at = try take(4)
    return unsafe UInt32(bigEndian: bytes.bytes.unsafeLoadUnaligned(fromByteOffset: at, as: UInt32.self))
  }

  @_lifetime(self: copy self)
  @inline(__always)
  mutating func uint64() throws(DecodeError) -> UInt64 {
    let at = try take(8)
    return unsafe UInt64(bigEndian: bytes.bytes.unsafeLoadUnaligned(fromByteOffset: at, as: UInt64.self))
  }

  @_lifetime(self: copy self)
  @inline(__always)
  mutating func skip(_ count: Int) throws(DecodeError) {
    guard count >= 0 else { throw error("negative length") }
    _ = try take(count)
  }

  /// A text that ends with a zero byte.
  @_lifetime(self: copy self)
  mutating func string() throws(DecodeError) -> String {
    var end = offset
    while end < bytes.count, bytes[end] != 0 { end += 1 }
    guard end < bytes.count else { throw error("a text has no end") }
    let text = [UInt8](bytes.extracting(offset..<end))
    offset = end + 1
    return String(decoding: text, as: UTF8.self)
  }
}
