/// Writes Redis commands as RESP into one growing buffer.
///
/// Source: Redis serialization protocol specification, "Sending commands to a Redis server".
struct CommandWriter {
  private(set) var bytes: [UInt8] = []

  init(capacity: Int = 0) { bytes.reserveCapacity(capacity) }

  mutating func begin(argumentCount: Int) {
    write(atMost: OutputSpan<UInt8>.lineLimit) { $0.appendLine(UInt8(ascii: "*"), argumentCount) }
  }

  mutating func argument(_ text: StaticString) {
    write(atMost: text.utf8CodeUnitCount + OutputSpan<UInt8>.argumentOverhead) { output in
      output.beginArgument(length: text.utf8CodeUnitCount)
      output.append(text)
      output.endLine()
    }
  }

  mutating func argument(_ value: [UInt8]) { argument(value.span) }

  mutating func argument(_ value: Span<UInt8>) {
    write(atMost: value.count + OutputSpan<UInt8>.argumentOverhead) { output in
      output.beginArgument(length: value.count)
      output.append(value)
      output.endLine()
    }
  }

  /// Makes room for so many bytes, which `body` appends, or fewer, without asking again for each.
  @inline(__always)
  mutating func write(atMost count: Int, _ body: (inout OutputSpan<UInt8>) -> Void) {
    bytes.append(addingCapacity: count) { output in body(&output) }
  }

  mutating func command(_ arguments: [[UInt8]]) {
    begin(argumentCount: arguments.count)
    arguments.forEach { argument($0) }
  }
}

/// The parts of a command, for who has made room for them.
extension OutputSpan<UInt8> {
  /// The longest line that tells a length or a count.
  static var lineLimit: Int { 23 }
  /// What an argument takes besides its own bytes.
  static var argumentOverhead: Int { lineLimit + 2 }

  /// The line that tells an argument's length; exactly so many bytes follow, then `endLine`.
  @_lifetime(self: copy self)
  @inline(__always)
  mutating func beginArgument(length: Int) { appendLine(UInt8(ascii: "$"), length) }

  @_lifetime(self: copy self)
  @inline(__always)
  mutating func endLine() {
    append(UInt8(ascii: "\r"))
    append(UInt8(ascii: "\n"))
  }

  @_lifetime(self: copy self)
  @inline(__always)
  fileprivate mutating func appendLine(_ kind: UInt8, _ number: Int) {
    append(kind)
    appendDecimal(UInt64(number))
    endLine()
  }

  @_lifetime(self: copy self)
  @inline(__always)
  mutating func append(_ text: StaticString) {
    for index in 0..<text.utf8CodeUnitCount { append(unsafe text.utf8Start[index]) }
  }

  @_lifetime(self: copy self)
  @inline(__always)
  mutating func append(_ bytes: Span<UInt8>) {
    for index in bytes.indices { append(bytes[index]) }
  }

  @_lifetime(self: copy self)
  @inline(__always)
  private mutating func appendDecimal(_ value: UInt64) {
    var divisor: UInt64 = 1
    while value / divisor >= 10 { divisor *= 10 }
    var rest = value
    while divisor > 1 {
      append(UInt8(ascii: "0") + UInt8(rest / divisor))
      rest %= divisor
      divisor /= 10
    }
    append(UInt8(ascii: "0") + UInt8(rest))
  }
}

extension [UInt8] {
  mutating func appendDecimal(_ value: UInt64) {
    if value < 10 { return append(UInt8(ascii: "0") + UInt8(value)) }
    var divisor: UInt64 = 10
    while value / divisor >= 10 { divisor *= 10 }
    while divisor > 0 {
      append(UInt8(ascii: "0") + UInt8(value / divisor % 10))
      divisor /= 10
    }
  }

  mutating func append(_ lsn: LSN) {
    appendHexadecimal(lsn.rawValue >> 32)
    append(UInt8(ascii: "/"))
    appendHexadecimal(lsn.rawValue & 0xFFFF_FFFF)
  }

  private mutating func appendHexadecimal(_ value: UInt64) {
    var shift = 60
    while shift > 0, value >> UInt64(shift) == 0 { shift -= 4 }
    while shift >= 0 {
      let digit = UInt8(value >> UInt64(shift) & 15)
      append(digit < 10 ? UInt8(ascii: "0") + digit : UInt8(ascii: "A") + digit - 10)
      shift -= 4
    }
  }
}
