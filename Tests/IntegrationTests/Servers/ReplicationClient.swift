import Foundation

/// A walsender's other end, which sends what a test wants it to: the replication protocol as it is on the wire.
///
/// Source: PostgreSQL manual, chapter 55.4 "Streaming Replication Protocol".
final class ReplicationClient {
  private let connection: LoopbackConnection
  /// The position of the last keepalive.
  private var received = [UInt8](repeating: 0, count: 8)

  /// Streams from the slot, from where it is confirmed.
  init(port: Int, slot: String, publication: String) throws {
    connection = try LoopbackConnection(port: port, timeout: .seconds(1))
    var startup = Self.bytes(196_608, count: 4)
    for text in ["user", "postgres", "database", "postgres", "replication", "database"] {
      startup += Array(text.utf8) + [0]
    }
    startup.append(0)
    try connection.send(Self.bytes(startup.count + 4, count: 4) + startup)
    try receive(until: "Z")
    let command =
      "START_REPLICATION SLOT \(slot) LOGICAL 0/0 (proto_version '1', publication_names '\(publication)')"
    try send("Q", Array(command.utf8) + [0])
    try receive(until: "W")
  }

  /// A standby status update: written as far as the server has told, nothing of it confirmed.
  func sendFeedback(asksForReply: Bool) throws {
    let positions = received + [UInt8](repeating: 0, count: 16)
    let clock = Self.bytes(0, count: 8)
    try send("d", [UInt8(ascii: "r")] + positions + clock + [asksForReply ? 1 : 0])
  }

  /// The kinds of the frames that come in that time: `w` for WAL, `k` for a keepalive.
  func frames(within time: Duration) throws -> String {
    var kinds = ""
    let end = ContinuousClock.now + time
    while ContinuousClock.now < end {
      guard let (type, body) = try messageIfAny() else { continue }
      if type == "d", body[0] == UInt8(ascii: "k") { received = Array(body[1...8]) }
      kinds += type == "d" ? String(UnicodeScalar(body[0])) : type
    }
    return kinds
  }

  private func receive(until wanted: String) throws {
    let end = ContinuousClock.now + .seconds(30)
    while ContinuousClock.now < end {
      guard let (type, body) = try messageIfAny() else { continue }
      if type == wanted { return }
      if type == "E" { throw TimedOut(description: String(decoding: body, as: UTF8.self)) }
    }
    throw TimedOut(description: "no \(wanted) of the walsender within 30 s")
  }

  /// Nil when nothing comes for a second.
  private func messageIfAny() throws -> (type: String, body: [UInt8])? {
    do {
      return try message()
    } catch let failure as LoopbackConnection.Failure where failure.description.hasSuffix("timed out") {
      return nil
    }
  }

  private func message() throws -> (type: String, body: [UInt8]) {
    let type = String(UnicodeScalar(try connection.receiveByte()))
    let length = try connection.receive(count: 4).reduce(0) { $0 << 8 | Int($1) }
    return (type, try connection.receive(count: length - 4))
  }

  private func send(_ type: Unicode.Scalar, _ body: [UInt8]) throws {
    try connection.send([UInt8(ascii: type)] + Self.bytes(body.count + 4, count: 4) + body)
  }

  private static func bytes(_ value: Int, count: Int) -> [UInt8] {
    (0..<count).map { UInt8(truncatingIfNeeded: value >> (8 * (count - 1 - $0))) }
  }
}
