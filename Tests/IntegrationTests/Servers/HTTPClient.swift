import Foundation

/// What a GET answered.
struct HTTPResponse {
  var status: Int
  var body: String

  /// Asks once, over a connection of its own.
  ///
  /// Source: RFC 9112 "HTTP/1.1".
  static func get(_ path: String, port: Int, timeout: Duration = .seconds(30)) throws -> HTTPResponse {
    let connection = try LoopbackConnection(port: port, timeout: timeout)
    try connection.send(
      Array("GET \(path) HTTP/1.1\r\nHost: 127.0.0.1:\(port)\r\nConnection: close\r\n\r\n".utf8))
    let status = try connection.receiveLine().split(separator: " ")
    guard status.count >= 2, let code = Int(status[1]) else {
      throw LoopbackConnection.Failure(description: "not HTTP: \(status)")
    }
    var chunked = false
    while true {
      let header = try connection.receiveLine()
      if header.isEmpty { break }
      if header.lowercased() == "transfer-encoding: chunked" { chunked = true }
    }
    if !chunked {
      return HTTPResponse(status: code, body: String(decoding: try connection.receiveToEnd(), as: UTF8.self))
    }
    var body: [UInt8] = []
    while let size = Int(try connection.receiveLine(), radix: 16), size > 0 {
      body += try connection.receive(count: size)
      _ = try connection.receiveLine()
    }
    return HTTPResponse(status: code, body: String(decoding: body, as: UTF8.self))
  }
}
