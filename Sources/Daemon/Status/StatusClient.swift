import FoundationEssentials
import Glibc
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

  private let addresses: [ListenAddress]
  private let token: AccessToken?
  private let patience: Duration

  /// `http` is that of the file.
  package init(_ http: Configuration.HTTP, patience: Duration = .seconds(10)) {
    addresses = http.listen.map(\.reachable)
    token = http.token
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
    let path = "/why?key=" + PercentEncoding.text(of: key.utf8)
    guard path.utf8.count <= ConnectionLimits.fieldBytes else {
      throw Failure(
        description: "The key is too long to be asked for: a request names at most"
          + " \(ConnectionLimits.fieldBytes) bytes, three for each that is no letter, digit or one of -._~.",
        isDaemonAway: false)
    }
    return try await body(of: path)
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

  /// Of the first address at which somebody answers.
  private func body(of path: String) async throws(Failure) -> String {
    var failure = Failure(
      description: "http.listen is off, so that nobody can be asked: name an address, and start cdcd again.",
      isDaemonAway: false)
    for address in addresses {
      do throws(Failure) {
        return try await body(of: path, at: address)
      } catch {
        guard error.isDaemonAway else { throw error }
        failure = error
      }
    }
    throw failure
  }

  private func body(of path: String, at address: ListenAddress) async throws(Failure) -> String {
    if case .tcp(_, port: 0) = address {
      throw Failure(
        description: "http.listen leaves the port to the system (0), so that nobody knows it: name one.",
        isDaemonAway: false)
    }
    let answer: Answer
    do {
      answer = try await withDeadline { try await get(path, at: address) }
    } catch is TimedOut {
      throw Failure(
        description:
          "\(address) did not answer within \(patience.components.seconds) s: look whether cdcd hangs, or"
          + " its machine, and start it again if so.", isDaemonAway: true)
    } catch let error as IOError where error.errnoCode == EACCES {
      throw Failure(
        description:
          "\(address) may not be opened: only cdcd's user and the socket's group may. Run it as one of them.",
        isDaemonAway: false)
    } catch is NoAnswer {
      throw Failure(
        description:
          "\(address) takes connections and does not answer: it is no cdcd, or one that is stopping.",
        isDaemonAway: true)
    } catch {
      throw Failure(
        description:
          "Nobody answers at \(named), http.listen of the file: cdcd does not run, or with"
          + " another file. Start it: cdcd --config ...", isDaemonAway: true)
    }
    guard answer.status != .unauthorized else {
      throw Failure(
        description: "\(address) wants another token than http.token of the file"
          + (token == nil ? ", which has none." : "."),
        isDaemonAway: false)
    }
    if let refusal = answer.refusal {
      throw Failure(description: "\(address) cannot answer now: \(refusal)", isDaemonAway: false)
    }
    // /healthz says 503 as well.
    guard answer.isJSON, [.ok, .serviceUnavailable].contains(answer.status) else { throw notUnderstood }
    return String(buffer: answer.body)
  }

  /// The addresses of the file.
  private var named: String { addresses.map(\.description).joined(separator: " or ") }

  private var notUnderstood: Failure {
    Failure(
      description:
        "What answers at http.listen of the file, \(named), is no cdcd"
        + " \(Version.current).",
      isDaemonAway: false)
  }

  // MARK: One request

  private struct Answer {
    var status = HTTPResponseStatus.ok
    var isJSON = false
    var body = ByteBuffer()

    private struct Refusal: Decodable {
      let error: String
    }

    /// Why it is no answer for now; nil where it is one.
    var refusal: String? {
      guard status == .serviceUnavailable else { return nil }
      guard isJSON else { return String(buffer: body).split(separator: "\n").joined(separator: " ") }
      return try? JSONDecoder().decode(Refusal.self, from: Data(String(buffer: body).utf8)).error
    }
  }

  private struct TimedOut: Error {}
  /// Whoever took the connection did not answer as HTTP has it.
  private struct NoAnswer: Error {}

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

  private func get(_ path: String, at address: ListenAddress) async throws -> Answer {
    let connection = try await connection(to: address)
    do {
      return try await connection.executeThenClose { inbound, outbound in
        // At once: whoever has answered and closed a Unix socket between the two fails the second, and with it the answer.
        try await outbound.write(contentsOf: [.head(head(of: path)), .end(nil)])
        return try await answer(from: inbound)
      }
    } catch {
      throw NoAnswer()
    }
  }

  private func head(of path: String) -> HTTPRequestHead {
    var headers = HTTPHeaders([("host", "localhost"), ("connection", "close")])
    if let token { headers.add(name: "authorization", value: token.header) }
    return HTTPRequestHead(version: .http1_1, method: .GET, uri: path, headers: headers)
  }

  private func answer(from inbound: NIOAsyncChannelInboundStream<HTTPClientResponsePart>) async throws
    -> Answer
  {
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
    throw NoAnswer()
  }

  private typealias Connection = NIOAsyncChannel<HTTPClientResponsePart, HTTPClientRequestPart>

  private func connection(to address: ListenAddress) async throws -> Connection {
    let bootstrap = ClientBootstrap(group: .singletonMultiThreadedEventLoopGroup)
      .connectTimeout(.seconds(5))
    let setUp: @Sendable (any Channel) -> EventLoopFuture<Connection> = { channel in
      channel.eventLoop.makeCompletedFuture {
        try channel.pipeline.syncOperations.addHTTPClientHandlers()
        return try Connection(wrappingChannelSynchronously: channel)
      }
    }
    return switch address {
    case .tcp(let host, let port):
      try await bootstrap.connect(host: host, port: port, channelInitializer: setUp)
    case .unix(let path):
      try await bootstrap.connect(unixDomainSocketPath: path, channelInitializer: setUp)
    }
  }
}
