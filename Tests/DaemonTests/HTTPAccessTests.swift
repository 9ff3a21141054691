import Foundation
import FoundationNetworking
import Invalidation
import Testing

@testable import Daemon

@Suite struct HTTPAccessTests {
  static let token = "geheim-0123456789"
  static let everyPath = ["/", "/healthz", "/metrics", "/status", "/wait?lsn=0/1&timeout=1ms", "/nothing"]

  /// By hand: URLSession never comes back from a 401 for which it has no credentials.
  private static func answer(
    from client: Client, to path: String, method: String = "GET", _ credentials: String? = nil
  ) async throws -> String {
    let authorization = credentials.map { "Authorization: \($0)\r\n" } ?? ""
    return try await RawConnection.answer(
      from: client.address,
      to: "\(method) \(path) HTTP/1.1\r\nHost: localhost\r\n\(authorization)Connection: close\r\n\r\n")
  }

  private static func basic(_ text: String) -> String { "Basic " + Data(text.utf8).base64EncodedString() }

  @Test func everyPathButTheProbesWantsTheToken() async throws {
    try await withServer(token: Self.token) { board, client in
      board.publish(settledStatus(0x100))
      for path in Self.everyPath {
        let unknown = try await Self.answer(from: client, to: path)
        #expect(unknown.hasPrefix("HTTP/1.1 401 "), "\(path)")
        let known = try await Self.answer(from: client, to: path, "Bearer \(Self.token)")
        #expect(known.hasPrefix(path == "/nothing" ? "HTTP/1.1 404 " : "HTTP/1.1 200 "), "\(path)")
      }
      let post = try await Self.answer(from: client, to: "/status", method: "POST")
      #expect(post.hasPrefix("HTTP/1.1 401 "))
    }
  }

  @Test func aProbeLearnsTheStateAlone() async throws {
    try await withServer(token: Self.token) { board, client in
      var status = settledStatus(1)
      status.notReady = [.init(check: "source", message: "db.internal is away")]
      board.publish(status)
      #expect(try await client.get("/livez").body == "alive\n")
      let probe = try await client.get("/readyz")
      #expect(probe.status == 503)
      #expect(probe.body == "not ready\nthe reasons are for those who send http.token of the rules file\n")
      let known = try await client.send("/readyz") {
        $0.setValue("Bearer \(Self.token)", forHTTPHeaderField: "Authorization")
      }
      #expect(known.body == "not ready\nsource: db.internal is away\n")
      status.notReady = []
      status.degraded = [.init(check: "replicas", message: "standby.internal is away")]
      board.publish(status)
      #expect(try await client.get("/readyz").body == "ready\n")
    }
  }

  @Test func aBrowserIsAskedForIt() async throws {
    try await withServer(token: Self.token) { _, client in
      let answer = try await Self.answer(from: client, to: "/")
      #expect(answer.hasPrefix("HTTP/1.1 401 Unauthorized\r\n"))
      #expect(answer.contains("WWW-Authenticate: Basic realm=\"cdcd\", charset=\"UTF-8\"\r\n"))
      #expect(answer.contains("WWW-Authenticate: Bearer realm=\"cdcd\"\r\n"))
      #expect(answer.contains("send 'Authorization: Bearer ...' with http.token"))
      #expect(!answer.contains(Self.token))
    }
  }

  @Test(arguments: [
    ("Bearer \(token)", true), ("bearer \(token)", true), ("BEARER  \(token)", false),
    (basic("ada:\(token)"), true), (basic(":\(token)"), true), (basic("ada:x:\(token)"), false),
    (basic(token), false), ("Basic %", false), ("Basic /w==", false), ("Basic ", false), ("Basic", false),
    ("Bearer \(token)x", false), ("Bearer \(token.dropLast())", false), ("Bearer", false), ("Bearer ", false),
    ("Bearer \(token.uppercased())", false), ("Bearer \(token)\(token)", false), (token, false),
    ("Digest \(token)", false), ("Bearer \(token), Bearer \(token)", false),
  ])
  func onlyTheTokenIsTheToken(credentials: String, isRight: Bool) async throws {
    try await withServer(token: Self.token) { board, client in
      board.publish(settledStatus(1))
      let answer = try await Self.answer(from: client, to: "/status", credentials)
      #expect(answer.hasPrefix(isRight ? "HTTP/1.1 200 " : "HTTP/1.1 401 "), "\(answer)")
    }
  }

  @Test func nothingPrintsTheToken() throws {
    let text = """
      source: {postgres: "host=db"}
      redis: {url: redis://localhost}
      http: {token: \(Self.token)}
      rules: [{table: users, keys: ["u:{id}"]}]
      """
    let configuration = try Configuration.read(text, file: "r.yaml", environment: [:])
    #expect(configuration.http.token == AccessToken(Self.token))
    var dumped = "\(configuration) \(String(reflecting: configuration))"
    dump(configuration, to: &dumped)
    #expect(dumped.contains("127.0.0.1"))
    #expect(!dumped.contains("geheim"))
  }

  // MARK: Foreign web pages

  @Test(arguments: [
    ("127.0.0.1:9810", 200), ("localhost", 200), ("LOCALHOST.:80", 200), ("cdcd.localhost:1", 200),
    ("[::1]:9810", 200),
    ("10.0.0.7", 200), ("evil.example", 421), ("127.0.0.1.evil.example:9810", 421),
    ("localhost.evil.example", 421),
    ("notlocalhost", 421), ("[evil.example]", 421), ("127.1", 421), ("", 421),
  ])
  func aLoopbackAddressIsAskedByNoForeignName(host: String, status: Int) async throws {
    let request = "GET /livez HTTP/1.1\r\nHost: \(host)\r\nConnection: close\r\n\r\n"
    try await withServer { _, client in
      let answer = try await RawConnection.answer(from: client.address, to: request)
      #expect(answer.hasPrefix("HTTP/1.1 \(status) "), "\(answer)")
    }
    // Whoever knows the token is no foreign page.
    try await withServer(token: Self.token) { _, client in
      let answer = try await RawConnection.answer(from: client.address, to: request)
      #expect(answer.hasPrefix("HTTP/1.1 200 "))
    }
  }

  @Test func anOpenAddressIsAskedByAnyName() async throws {
    try await withServer(at: .tcp(host: "0.0.0.0", port: 0)) { _, client in
      let answer = try await RawConnection.answer(
        from: client.address, to: "GET /livez HTTP/1.1\r\nHost: cdcd.internal\r\nConnection: close\r\n\r\n")
      #expect(answer.hasPrefix("HTTP/1.1 200 "))
    }
  }

  // MARK: Unix sockets

  /// A path for a socket, in a folder that is removed afterwards.
  private func withSocketPath(_ body: (String) async throws -> Void) async throws {
    let folder = FileManager.default.temporaryDirectory.appending(path: "cdcd-\(UUID().uuidString.prefix(8))")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: folder) }
    try await body(folder.appending(path: "http.sock").path)
  }

  private static let live = "GET /livez HTTP/1.1\r\nHost: any.name\r\nConnection: close\r\n\r\n"

  @Test func aSocketIsForItsOwnerAndGroup() async throws {
    try await withSocketPath { path in
      try await withServer(at: .unix(path: path)) { _, client in
        let answer = try await RawConnection.answer(from: client.address, to: Self.live)
        #expect(answer.hasPrefix("HTTP/1.1 200 "), "\(answer)")
        let mode = try FileManager.default.attributesOfItem(atPath: path)[.posixPermissions] as? Int
        #expect(mode == 0o660)
      }
      #expect(SocketFile.occupant(of: path) == .nobody)
    }
  }

  @Test func aSocketThatWasLeftIsReplaced() async throws {
    try await withSocketPath { path in
      try leaveSocket(at: path)
      #expect(SocketFile.occupant(of: path) == .stale)
      try await withServer(at: .unix(path: path)) { _, client in
        let answer = try await RawConnection.answer(from: client.address, to: Self.live)
        #expect(answer.hasPrefix("HTTP/1.1 200 "))
      }
    }
  }

  private func leaveSocket(at path: String) throws { close(try boundSocket(at: path)) }

  private func boundSocket(at path: String) throws -> Int32 {
    var name = sockaddr_un()
    name.sun_family = sa_family_t(AF_UNIX)
    unsafe withUnsafeMutableBytes(of: &name.sun_path) { unsafe $0.copyBytes(from: path.utf8) }
    let descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
    let result = unsafe withUnsafePointer(to: &name) { pointer in
      unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        unsafe bind(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
      }
    }
    try #require(result == 0)
    return descriptor
  }

  /// A Unix socket whose other end is closed refuses even a write of nothing, as that of an end of the request that comes
  /// behind its head.
  @Test func anAnswerCountsHoweverSoonTheServerCloses() async throws {
    try await withSocketPath { path in
      let listener = try boundSocket(at: path)
      defer {
        shutdown(listener, Int32(SHUT_RDWR))
        close(listener)
      }
      try #require(listen(listener, 16) == 0)
      let requests = 2_000
      Thread { answer(requests, at: listener) }.start()
      var http = Configuration.HTTP()
      http.listen = [.unix(path: path)]
      for _ in 0..<requests { #expect(try await StatusClient(http).status() == "{}") }
    }
  }

  private func answer(_ requests: Int, at listener: Int32) {
    let text = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"
    for _ in 0..<requests {
      let connection = accept(listener, nil, nil)
      guard connection >= 0 else { return }
      var request = [UInt8](repeating: 0, count: 4_096)
      _ = unsafe recv(connection, &request, request.count, 0)
      _ = unsafe send(connection, text, text.utf8.count, Int32(MSG_NOSIGNAL))
      close(connection)
    }
  }

  @Test func aSocketOfSomebodyElseIsLeftAlone() async throws {
    try await withSocketPath { path in
      try await withServer(at: .unix(path: path)) { _, client in
        let error = try await #require(throws: ListenError.self) {
          try await server(at: .unix(path: path)).run()
        }
        #expect(error.description.contains("cannot listen on unix:\(path): another process listens there. "))
        let answer = try await RawConnection.answer(from: client.address, to: Self.live)
        #expect(answer.hasPrefix("HTTP/1.1 200 "))
      }
      try Data("mine".utf8).write(to: URL(filePath: path))
      let error = try await #require(throws: ListenError.self) {
        try await server(at: .unix(path: path)).run()
      }
      #expect(error.description.contains("there is a file that is no socket"))
      #expect(try String(contentsOfFile: path, encoding: .utf8) == "mine")
    }
    let error = try await #require(throws: ListenError.self) {
      try await server(at: .unix(path: "/nonexistent/http.sock")).run()
    }
    #expect(error.description.contains("No such file or directory"))
  }
}
