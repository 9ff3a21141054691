import Foundation

/// A blocking PostgreSQL session of the tests' own: the simple query protocol, trust authentication, text.
///
/// Source: PostgreSQL manual, chapter 55.2.3 "Simple Query".
final class PostgresClient {
  /// What an ErrorResponse says.
  struct ServerError: Error, CustomStringConvertible {
    var code: String
    var message: String
    var description: String { "\(code): \(message)" }
  }

  private let connection: LoopbackConnection
  /// The process id of the backend.
  private(set) var backend: Int32 = 0

  init(port: Int, user: String = "postgres", database: String = "postgres", timeout: Duration = .seconds(30))
    throws
  {
    connection = try LoopbackConnection(port: port, timeout: timeout)
    var startup = Self.bytes(of: Int32(196_608))
    for text in ["user", user, "database", database, "application_name", "cdcd tests"] {
      startup += Array(text.utf8) + [0]
    }
    startup.append(0)
    try connection.send(Self.bytes(of: Int32(startup.count + 4)) + startup)
    _ = try receiveAnswer()
  }

  /// Runs one or more statements; the rows of all of them, NULL as nil.
  @discardableResult
  func rows(_ sql: String) throws -> [[String?]] {
    try begin(sql)
    return try receiveAnswer()
  }

  /// The one value of a query that must have one.
  func value(_ sql: String) throws -> String {
    guard let first = try rows(sql).first?.first, let value = first else {
      throw ServerError(code: "no data", message: sql)
    }
    return value
  }

  /// Sends statements without waiting for the answer, which `receiveAnswer` takes.
  func begin(_ sql: String) throws {
    let text = Array(sql.utf8) + [0]
    try connection.send([UInt8(ascii: "Q")] + Self.bytes(of: Int32(text.count + 4)) + text)
  }

  func receiveAnswer() throws -> [[String?]] {
    var rows: [[String?]] = []
    var failure: ServerError?
    while true {
      let type = try connection.receiveByte()
      var body = try connection.receive(count: Int(Self.integer(connection.receive(count: 4))) - 4)[...]
      switch type {
      case UInt8(ascii: "D"): rows.append(Self.row(&body))
      case UInt8(ascii: "E"):
        failure = Self.error(body)
        // A FATAL one is followed by the end of the connection, not by ReadyForQuery.
        if failure?.code.hasPrefix("57P") == true || failure?.code.hasPrefix("53") == true,
          let failure
        {
          throw failure
        }
      case UInt8(ascii: "K"): backend = Self.integer(Array(body.prefix(4)))
      case UInt8(ascii: "Z"):
        if let failure { throw failure }
        return rows
      default: break
      }
    }
  }

  private static func row(_ body: inout ArraySlice<UInt8>) -> [String?] {
    let columns = Int(body.removeFirst()) << 8 | Int(body.removeFirst())
    return (0..<columns).map { _ in
      let length = Int(integer(Array(body.prefix(4))))
      body = body.dropFirst(4)
      guard length >= 0 else { return nil }
      defer { body = body.dropFirst(length) }
      return String(decoding: body.prefix(length), as: UTF8.self)
    }
  }

  private static func error(_ body: ArraySlice<UInt8>) -> ServerError {
    var error = ServerError(code: "", message: "")
    for field in body.split(separator: 0) {
      let text = String(decoding: field.dropFirst(), as: UTF8.self)
      switch field.first {
      case UInt8(ascii: "C"): error.code = text
      case UInt8(ascii: "M"): error.message = text
      default: break
      }
    }
    return error
  }

  private static func bytes(of value: Int32) -> [UInt8] {
    (0..<4).map { UInt8(truncatingIfNeeded: value >> (24 - 8 * Int32($0))) }
  }

  private static func integer(_ bytes: [UInt8]) -> Int32 {
    bytes.reduce(0) { $0 << 8 | Int32($1) }
  }
}
