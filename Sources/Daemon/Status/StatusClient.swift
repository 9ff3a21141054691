import FoundationEssentials
import NIOCore
import NIOHTTP1
import NIOPosix

/// Asks the running daemon over its own HTTP pages, for `cdcd status` and `cdcd why`.
package struct StatusClient: Sendable {
  package struct Failure: Error, Sendable, Equatable, CustomStringConvertible {
    package var description: String
    /// Nobody answered at all.
    package var isDaemonAway: Bool
  }

  private let address: Configuration.HTTP
  private let patience: Duration

  /// `address` is `http.listen` of the file.
  package init(_ address: Configuration.HTTP, patience: Duration = .seconds(10)) {
    self.address = address.reachable
    self.patience = patience
  }

  /// The body of `/status`, as it is.
  package func status() async throws(Failure) -> String { try await body(of: "/status") }

  /// What `/status` and `/healthz` say, read one after the other.
  func reports() async throws(Failure) -> (status: StatusReport, health: HealthReport) {
    let status = try await body(of: "/status")
    let health = try await body(of: "/healthz")
    return (try decode(status), try decode(health))
  }

  /// The body of `/why` for this key, as it is.
  package func whyText(_ key: String) async throws(Failure) -> String {
    try await body(of: "/why?key=" + key.percentEncoded)
  }

  /// What `/why` says of this key.
  func why(_ key: String) async throws(Failure) -> WhyReport { try decode(try await whyText(key)) }

  private func decode<Report: Decodable>(_ text: String) throws(Failure) -> Report {
    do {
      let decoder = JSONDecoder()
      decoder.keyDecodingStrategy = .convertFromSnakeCase
      return try decoder.decode(Report.self, from: Data(text.utf8))
    } catch {
      throw notUnderstood
    }
  }

  private func body(of path: String) async throws(Failure) -> String {
    guard address.port != 0 else {
      throw Failure(
        description: "http.listen leaves the port to the system (0), so that nobody knows it: name one.",
        isDaemonAway: false)
    }
    let answer: Answer
    do {
      answer = try await withDeadline { try await get(path) }
    } catch is TimedOut {
      throw Failure(
        description: "\(address.description) did not answer within \(patience.components.seconds) s.",
        isDaemonAway: true)
    } catch {
      throw Failure(
        description:
          "Nobody answers at \(address.description), http.listen of the file: cdcd does not run, or with"
          + " another file. Start it: cdcd --config ...", isDaemonAway: true)
    }
    // /healthz says 503 as well.
    guard answer.isJSON, [.ok, .serviceUnavailable].contains(answer.status) else { throw notUnderstood }
    return String(buffer: answer.body)
  }

  private var notUnderstood: Failure {
    Failure(
      description:
        "What answers at \(address.description), http.listen of the file, is no cdcd \(Version.current).",
      isDaemonAway: false)
  }

  // MARK: One request

  private struct Answer {
    var status = HTTPResponseStatus.ok
    var isJSON = false
    var body = ByteBuffer()
  }

  private struct TimedOut: Error {}

  private func withDeadline(_ work: @escaping @Sendable () async throws -> Answer) async throws -> Answer {
    try await withThrowingTaskGroup(of: Answer.self) { group in
      group.addTask { try await work() }
      group.addTask {
        try await Task.sleep(for: patience)
        throw TimedOut()
      }
      defer { group.cancelAll() }
      guard let answer = try await group.next() else { throw TimedOut() }
      return answer
    }
  }

  private func get(_ path: String) async throws -> Answer {
    let bootstrap = ClientBootstrap(group: .singletonMultiThreadedEventLoopGroup)
      .connectTimeout(.seconds(5))
    let channel = try await bootstrap.connect(host: address.host, port: address.port) { channel in
      channel.eventLoop.makeCompletedFuture {
        try channel.pipeline.syncOperations.addHTTPClientHandlers()
        return try NIOAsyncChannel<HTTPClientResponsePart, HTTPClientRequestPart>(
          wrappingChannelSynchronously: channel)
      }
    }
    return try await channel.executeThenClose { inbound, outbound in
      let headers = HTTPHeaders([("host", address.description), ("connection", "close")])
      try await outbound.write(
        .head(HTTPRequestHead(version: .http1_1, method: .GET, uri: path, headers: headers)))
      try await outbound.write(.end(nil))
      var answer = Answer()
      for try await part in inbound {
        switch part {
        case .head(let head):
          answer.status = head.status
          answer.isJSON = head.headers["content-type"] == ["application/json"]
        case .body(var bytes): answer.body.writeBuffer(&bytes)
        case .end: return answer
        }
      }
      throw ChannelError.eof
    }
  }
}

extension String {
  /// As the value of a parameter in a request.
  ///
  /// Source: RFC 3986, section 2.3 "Unreserved Characters".
  var percentEncoded: String {
    var text = ""
    for byte in utf8 {
      switch byte {
      case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
        UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "_"),
        UInt8(ascii: "~"):
        text.unicodeScalars.append(UnicodeScalar(byte))
      default: text += (byte < 16 ? "%0" : "%") + String(byte, radix: 16, uppercase: true)
      }
    }
    return text
  }
}

extension Configuration.HTTP {
  /// Where somebody on this machine finds who listens there: every address stands for the loopback one.
  var reachable: Configuration.HTTP {
    var address = self
    switch host {
    case "0.0.0.0": address.host = "127.0.0.1"
    case "::": address.host = "::1"
    default: break
    }
    return address
  }
}
