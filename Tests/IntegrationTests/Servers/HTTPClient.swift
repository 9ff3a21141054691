import Foundation

/// What a GET answered.
struct HTTPResponse {
  var status: Int
  var body: String

  /// Asks once, over a connection of its own.
  static func get(_ path: String, port: Int, timeout: Duration = .seconds(30)) throws -> HTTPResponse {
    try send("GET", path, port: port, timeout: timeout)
  }

  /// Sends a request, with a body of JSON unless it is empty, over a connection of its own.
  ///
  /// Source: RFC 9112 "HTTP/1.1".
  static func send(
    _ method: String, _ path: String, body: String = "", port: Int, timeout: Duration = .seconds(30)
  ) throws -> HTTPResponse {
    let connection = try LoopbackConnection(port: port, timeout: timeout)
    var head = "\(method) \(path) HTTP/1.1\r\nHost: 127.0.0.1:\(port)\r\nConnection: close\r\n"
    if !body.isEmpty {
      head += "Content-Type: application/json\r\nContent-Length: \(body.utf8.count)\r\n"
    }
    try connection.send(Array((head + "\r\n" + body).utf8))
    let status = try connection.receiveLine().split(separator: " ")
    guard status.count >= 2, let code = Int(status[1]) else {
      throw LoopbackConnection.Failure(description: "not HTTP: \(status)")
    }
    var chunked = false
    var length: Int?
    while true {
      let header = try connection.receiveLine().lowercased()
      if header.isEmpty { break }
      if header == "transfer-encoding: chunked" { chunked = true }
      if header.hasPrefix("content-length:") { length = Int(header.dropFirst(15).drop { $0 == " " }) }
    }
    if let length {
      return HTTPResponse(
        status: code, body: String(decoding: try connection.receive(count: length), as: UTF8.self))
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
