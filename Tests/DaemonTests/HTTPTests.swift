import Foundation
import FoundationNetworking
import Invalidation
import Logging
import Testing

@testable import Daemon

/// Talks to a real server on a free port.
struct Client {
  let address: ListenAddress

  var port: Int { if case .tcp(_, let port) = address { port } else { 0 } }

  func get(_ path: String, method: String = "GET", timeout: TimeInterval = 30) async throws -> Answer {
    try await send(path) {
      $0.httpMethod = method
      $0.timeoutInterval = timeout
    }
  }

  func send(_ path: String, _ edit: (inout URLRequest) -> Void) async throws -> Answer {
    let url = try #require(URL(string: "http://127.0.0.1:\(port)\(path)"))
    var request = URLRequest(url: url)
    edit(&request)
    let (data, response) = try await URLSession.shared.data(for: request)
    let head = try #require(response as? HTTPURLResponse)
    return Answer(
      status: head.statusCode, type: head.value(forHTTPHeaderField: "Content-Type") ?? "",
      policy: head.value(forHTTPHeaderField: "Content-Security-Policy") ?? "",
      body: String(decoding: data, as: UTF8.self))
  }

  struct Answer {
    let status: Int
    let type: String
    /// What a browser lets the page do.
    let policy: String
    let body: String

    func json() throws -> [String: Any] {
      try #require(try JSONSerialization.jsonObject(with: Data(body.utf8)) as? [String: Any])
    }
  }
}

func server(
  at address: ListenAddress, token: String? = nil, board: StatusBoard = StatusBoard(),
  feed: EventFeed? = nil, limits: ConnectionLimits = ConnectionLimits(), capacity: Int = 1_000,
  onListening: @escaping @Sendable (ListenAddress) -> Void = { _ in }
) -> HTTPServer {
  let identity = DaemonIdentity(version: "1.2.3")
  return HTTPServer(
    at: address, token: token.flatMap { AccessToken($0) }, board: board, identity: identity,
    feed: feed ?? EventFeed(board, identity), limits: limits,
    register: ConnectionRegister(capacity: capacity),
    logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }, onListening: onListening)
}

/// Runs a server with a board of its own for the duration of the body.
func withServer(
  at address: ListenAddress = .tcp(host: "127.0.0.1", port: 0), token: String? = nil,
  limits: ConnectionLimits = ConnectionLimits(), capacity: Int = 1_000,
  _ body: (StatusBoard, Client) async throws -> Void
) async throws {
  // Nobody publishes here as the event loop does, and a busy machine may take long over a test.
  let board = StatusBoard(maximumSilence: .seconds(3_600))
  let (addresses, listening) = AsyncStream<ListenAddress>.makeStream()
  let server = server(at: address, token: token, board: board, limits: limits, capacity: capacity) {
    listening.yield($0)
  }
  let running = Task { try await server.run() }
  do {
    try await body(board, Client(address: try #require(await addresses.first { _ in true })))
  } catch {
    Issue.record(error)
  }
  running.cancel()
  try await running.value
}

@Suite struct HTTPTests {
  @Test func liveFromTheStartAndReadyOnceReported() async throws {
    try await withServer { board, client in
      #expect(try await client.get("/livez").status == 200)
      let before = try await client.get("/readyz")
      #expect(before.status == 503)
      #expect(before.body == "not ready\nloop: the event loop has not reported yet\n")
      board.publish(settledStatus(1))
      let after = try await client.get("/readyz")
      #expect(after.status == 200)
      #expect(after.body == "ready\n")
    }
  }

  @Test func readyNamesTheReasons() async throws {
    try await withServer { board, client in
      var status = settledStatus(1)
      status.notReady = [
        .init(check: "source", message: "PostgreSQL is away"), .init(check: "gap", message: "a gap is open"),
      ]
      board.publish(status)
      let answer = try await client.get("/readyz")
      #expect(answer.status == 503)
      #expect(answer.body == "not ready\nsource: PostgreSQL is away\ngap: a gap is open\n")
      let health = try await client.get("/healthz")
      #expect(health.status == 503)
      let checks = try #require(try health.json()["checks"] as? [[String: Any]])
      let names = checks.compactMap { $0["name"] as? String }
      #expect(
        names == [
          "loop", "source", "publication", "redis", "watermark", "gap", "rules", "barrier", "replicas",
        ])
      let gap = try #require(checks.first { $0["name"] as? String == "gap" })
      #expect(gap["ok"] as? Bool == false)
      #expect(gap["problem"] as? String == "a gap is open")
      #expect(gap["since"] as? String == "2000-01-01T00:00:01.000Z")
    }
  }

  @Test func metricsAreServed() async throws {
    try await withServer { board, client in
      board.publish(settledStatus(1))
      let answer = try await client.get("/metrics")
      #expect(answer.status == 200)
      #expect(answer.type == "text/plain; version=0.0.4; charset=utf-8")
      #expect(answer.body.contains("cdcd_build_info{version=\"1.2.3\"} 1\n"))
      #expect(answer.body.contains("process_resident_memory_bytes "))
    }
  }

  @Test func statusTellsWhereEverythingStands() async throws {
    try await withServer { board, client in
      var status = settledStatus(0x16B_3748)
      status.parkedTransactions = 2
      status.oldestParked = 777
      status.serverEnd = LSN(0x16B_3848)
      status.openFlushes = [
        .init(rule: "users", reason: .newSlot, phase: "values", scannedKeys: 5, deletedKeys: 3)
      ]
      var statistics = Statistics()
      statistics.ruleNames = ["users"]
      statistics.keysDeleted = [3]
      board.publish(status, statistics, at: Moment(monotonic: 1, wall: 1))
      board.record(Notice(.warning, "redis_error", "Redis is away"))
      let answer = try await client.get("/status")
      #expect(answer.status == 200)
      #expect(answer.type == "application/json")
      let report = try answer.json()
      #expect(report["version"] as? String == "1.2.3")
      #expect((report["positions"] as? [String: String])?["settled"] == "0/16B3748")
      #expect(report["lag_bytes"] as? Int == 256)
      #expect((report["parked"] as? [String: Int]) == ["transactions": 2, "oldest_xid": 777])
      #expect((report["rules"] as? [[String: Any]])?.first?["keys_deleted"] as? Int == 3)
      #expect((report["flushes"] as? [[String: Any]])?.first?["reason"] as? String == "new_slot")
      #expect((report["last_errors"] as? [[String: Any]])?.first?["message"] as? String == "Redis is away")
    }
  }

  @Test func theIndexLinksEveryPage() async throws {
    try await withServer { _, client in
      let answer = try await client.get("/")
      #expect(answer.status == 200)
      #expect(answer.type == "text/html; charset=utf-8")
      for path in [
        "/livez", "/readyz", "/healthz", "/metrics", "/status", "/events", "/wait", "/why",
      ] {
        #expect(answer.body.contains("<a href=\"\(path)\">"))
      }
      for rule in ["default-src 'none'", "connect-src 'self'", "frame-ancestors 'none'"] {
        #expect(answer.policy.contains(rule))
      }
      #expect(answer.policy.matches(of: /(style|script)-src 'sha256-[A-Za-z0-9+\/]{43}='/).count == 2)
    }
  }

  @Test func unknownPathsAndMethods() async throws {
    try await withServer { _, client in
      let unknown = try await client.get("/metricz")
      #expect(unknown.status == 404)
      #expect(unknown.body.contains("/metrics"))
      #expect(try await client.get("/status", method: "POST").status == 405)
      let head = try await client.get("/livez", method: "HEAD")
      #expect(head.status == 200)
      #expect(head.body.isEmpty)
    }
  }

  @Test func anOversizedHeadIsRefused() async throws {
    try await withServer { _, client in
      let answer = try await client.send("/livez") {
        $0.setValue(String(repeating: "x", count: 100_000), forHTTPHeaderField: "X-Large")
      }
      #expect(answer.status == 431)
      #expect(answer.body.contains("at most 100 fields, 8192 bytes in one and 16384 in all"))
      #expect(try await client.get("/livez").status == 200)
    }
  }

  @Test func anOversizedBodyEndsTheConnection() async throws {
    try await withServer { _, client in
      do {
        let answer = try await client.send("/livez") {
          $0.httpMethod = "POST"
          $0.httpBody = Data(count: 50_000_000)
        }
        #expect(answer.status == 405)
      } catch is URLError {
        // The connection was closed before the answer could be read.
      }
      let next = try await client.get("/livez")
      #expect(next.status == 200)
    }
  }

  @Test func aTakenPortIsExplained() async throws {
    try await withServer { _, client in
      let second = server(at: client.address)
      let error = try await #require(throws: ListenError.self) { try await second.run() }
      let text = error.description
      #expect(text.contains("cannot listen on 127.0.0.1:\(client.port)"))
      #expect(text.contains("Address already in use"))
      #expect(text.contains("http.listen"))
    }
  }
}

@Suite struct HTTPWaitTests {
  @Test func answersOnceTheWatermarkCoversThePosition() async throws {
    try await withServer { board, client in
      board.publish(settledStatus(0x100))
      async let waiting = client.get("/wait?lsn=0/16B3748&timeout=30s")
      try await board.untilSomebodyWaits()
      #expect(board.takeAwaited() == [LSN(0x16B_3748)])
      board.publish(settledStatus(0x16B_3800))
      let answer = try await waiting
      #expect(answer.status == 200)
      #expect(try answer.json()["settled"] as? String == "0/16B3800")
      #expect(try await client.get("/wait?lsn=0%2F16B3800").status == 200)
    }
  }

  @Test func timesOutWithWhatIsSettled() async throws {
    try await withServer { board, client in
      var status = settledStatus(0x100)
      status.notReady = [.init(check: "redis", message: "Redis is away")]
      board.publish(status)
      let answer = try await client.get("/wait?lsn=0/16B3748&timeout=10ms")
      #expect(answer.status == 504)
      let json = try answer.json()
      #expect(json["settled"] as? String == "0/100")
      #expect(json["not_ready"] as? [String] == ["redis: Redis is away"])
    }
  }

  @Test(arguments: [
    ("/wait", "lsn is missing"), ("/wait?lsn=", "lsn is ''"), ("/wait?lsn=16B3748", "lsn is '16B3748'"),
    ("/wait?lsn=0/0", "lsn is '0/0'"), ("/wait?lsn=0/1&timeout=5", "timeout is '5'"),
    ("/wait?lsn=0/1&timeout=-5s", "timeout is '-5s'"), ("/wait?lsn=0/1&timeout=61s", "at most 60s"),
    ("/wait?lsn=0/1&timeout=99999999999999999999s", "timeout is"),
    ("/wait?lsn=0/1&timeout=2m", "at most 60s"), ("/wait?lsn=0/1&time=5s", "'time'"),
    ("/wait?lsn=0/1&lsn=0/2", "'lsn' is there twice"),
    ("/wait?timeout=1s&lsn=0/1&timeout=1s", "'timeout' is there twice"),
    ("/wait?lsn=0/1&time=5s&time=5s", "unknown parameter 'time'"),
  ])
  func aBadParameterIsNamed(path: String, message: String) async throws {
    try await withServer { _, client in
      let answer = try await client.get(path)
      #expect(answer.status == 400)
      let error = try #require(try answer.json()["error"] as? String)
      #expect(error.contains(message), "\(error)")
    }
  }

  @Test func aClientThatLeavesGivesUpItsPlace() async throws {
    try await withServer { board, client in
      let waiting = Task { try await client.get("/wait?lsn=0/16B3748&timeout=60s") }
      try await board.untilSomebodyWaits()
      waiting.cancel()
      if case .success = await waiting.result { Issue.record("a cancelled request was answered") }
      try await poll { !board.hasWaiters }
    }
  }

  @Test func stoppingReleasesThoseWhoWait() async throws {
    try await withServer { board, client in
      async let waiting = client.get("/wait?lsn=0/16B3748&timeout=60s")
      try await board.untilSomebodyWaits()
      board.close()
      let answer = try await waiting
      #expect(answer.status == 503)
    }
  }
}
