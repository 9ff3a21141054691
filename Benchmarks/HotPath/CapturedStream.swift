import Foundation

/// Messages of an output plugin as `COPY (SELECT xid::text::int, data FROM pg_logical_slot_peek_binary_changes(...)) TO
/// STDOUT (FORMAT binary)` wrote them, each in the envelope in which a walsender sends it.
///
///     signature:11 flags:4 extension length:4 { columns:2 4:4 xid:4 length:4 bytes } -1:2
///
/// Source: PostgreSQL manual, COPY, "Binary Format"; chapter 55.4 for the envelope.
struct CapturedStream {
  struct Message {
    var bytes: [UInt8]
    var xid: UInt32
    var isCommit: Bool
  }

  private(set) var messages: [Message] = []

  init(contentsOf path: String) throws {
    let bytes = [UInt8](try Data(contentsOf: URL(filePath: path)))
    var offset = 19
    func number(_ count: Int) throws -> Int {
      guard offset + count <= bytes.count else { throw Failure("\(path) ends too early, at byte \(offset)") }
      defer { offset += count }
      return bytes[offset..<offset + count].reduce(0) { $0 << 8 | Int($1) }
    }
    while try number(2) == 2 {
      _ = try number(4)
      let xid = UInt32(try number(4))
      let length = try number(4)
      guard offset + length <= bytes.count else {
        throw Failure("\(path) ends within a message, at byte \(offset)")
      }
      let payload = bytes[offset..<offset + length]
      let isCommit = payload.first == UInt8(ascii: "C") || payload.starts(with: Self.commitInJSON)
      messages.append(Message(bytes: Self.envelope + payload, xid: xid, isCommit: isCommit))
      offset += length
    }
  }

  private static let commitInJSON = Array(#"{"action":"C""#.utf8)
  private static let envelope = [UInt8(ascii: "w")] + [UInt8](repeating: 0, count: 24)
}

struct Failure: Error, CustomStringConvertible {
  var description: String
  init(_ description: String) { self.description = description }
}
