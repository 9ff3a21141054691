/// Writes Redis commands as RESP into one growing buffer.
///
/// Source: Redis serialization protocol specification, "Sending commands to a Redis server".
struct CommandWriter {
  private(set) var bytes: [UInt8] = []

  init(capacity: Int = 0) { bytes.reserveCapacity(capacity) }

  mutating func begin(argumentCount: Int) {
    bytes.append(UInt8(ascii: "*"))
    bytes.appendDecimal(UInt64(argumentCount))
    endLine()
  }

  @inline(__always)
  mutating func argument(_ text: StaticString) {
    beginArgument(length: text.utf8CodeUnitCount)
    text.withUTF8Buffer { unsafe bytes.append(contentsOf: $0) }
    endLine()
  }

  @inline(__always)
  mutating func argument(_ value: some Collection<UInt8>) {
    beginArgument(length: value.count)
    bytes.append(contentsOf: value)
    endLine()
  }

  /// The length line; exactly so many bytes follow through `append`, then `endLine`.
  @inline(__always)
  mutating func beginArgument(length: Int) {
    bytes.append(UInt8(ascii: "$"))
    bytes.appendDecimal(UInt64(length))
    endLine()
  }

  @inline(__always)
  mutating func append(_ value: some Collection<UInt8>) { bytes.append(contentsOf: value) }

  @inline(__always)
  mutating func endLine() {
    bytes.append(UInt8(ascii: "\r"))
    bytes.append(UInt8(ascii: "\n"))
  }

  mutating func command(_ arguments: [[UInt8]]) {
    begin(argumentCount: arguments.count)
    arguments.forEach { argument($0) }
  }
}

extension [UInt8] {
  @inline(__always)
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
