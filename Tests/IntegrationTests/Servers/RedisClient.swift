import Foundation

/// A blocking Redis connection of the tests' own.
///
/// Source: Redis serialization protocol specification, RESP2.
final class RedisClient {
  enum Reply: Equatable {
    case text(String)
    case integer(Int64)
    case null
    case array([Reply])

    var text: String? { if case .text(let text) = self { text } else { nil } }
  }

  struct ServerError: Error, CustomStringConvertible {
    var description: String
  }

  private let connection: LoopbackConnection

  init(port: Int, timeout: Duration = .seconds(10)) throws {
    connection = try LoopbackConnection(port: port, timeout: timeout)
  }

  /// Sends one command and takes its reply; an error reply is thrown.
  @discardableResult
  func callAsFunction(_ words: String...) throws -> Reply { try run(words) }

  @discardableResult
  func run(_ words: [String]) throws -> Reply {
    var bytes = Array("*\(words.count)\r\n".utf8)
    for word in words { bytes += Array("$\(word.utf8.count)\r\n\(word)\r\n".utf8) }
    try connection.send(bytes)
    return try receiveReply()
  }

  func exists(_ key: String) throws -> Bool { try self("EXISTS", key) == .integer(1) }

  func get(_ key: String) throws -> String? { try self("GET", key).text }

  private func receiveReply() throws -> Reply {
    let line = try connection.receiveLine()
    let rest = String(line.dropFirst())
    switch line.first {
    case "+": return .text(rest)
    case "-": throw ServerError(description: rest)
    case ":": return .integer(Int64(rest) ?? 0)
    case "$":
      guard let count = Int(rest), count >= 0 else { return .null }
      let bytes = try connection.receive(count: count)
      _ = try connection.receiveLine()
      return .text(String(decoding: bytes, as: UTF8.self))
    case "*":
      guard let count = Int(rest), count >= 0 else { return .null }
      return .array(try (0..<count).map { _ in try receiveReply() })
    default: throw ServerError(description: "not RESP: \(line)")
    }
  }
}
