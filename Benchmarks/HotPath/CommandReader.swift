/// Reads commands that the Engine has sent, one after the other.
///
/// Source: Redis serialization protocol specification, "Sending commands to a Redis server".
struct CommandReader {
  struct Command {
    var name: String
    /// Of arguments, the name included.
    var count: Int
    fileprivate var ranges: [Range<Int>]
    fileprivate var bytes: [UInt8]

    /// The argument at this place, the name being 0; of commands with many only the first few are kept.
    func argument(_ place: Int) -> [UInt8] { Array(bytes[ranges[place]]) }
  }

  private let bytes: [UInt8]
  private var offset = 0

  init(_ bytes: [UInt8]) { self.bytes = bytes }

  mutating func next() -> Command? {
    guard offset < bytes.count else { return nil }
    let count = number()
    var command = Command(name: "", count: count, ranges: [], bytes: bytes)
    for place in 0..<count {
      let length = number()
      if place < 8 { command.ranges.append(offset..<offset + length) }
      offset += length + 2
    }
    command.name = String(decoding: command.argument(0), as: UTF8.self)
    return command
  }

  /// The number of a line `*5` or `$12`.
  private mutating func number() -> Int {
    offset += 1
    var value = 0
    while bytes[offset] != UInt8(ascii: "\r") {
      value = value * 10 + Int(bytes[offset] - UInt8(ascii: "0"))
      offset += 1
    }
    offset += 2
    return value
  }
}
