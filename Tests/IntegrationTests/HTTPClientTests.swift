import Foundation
import Testing

extension RealServers {
  @Suite struct HTTPClients {
    /// Connections that hang, so many of each kind.
    private static func stuck(_ count: Int, _ cdcd: CDCDProcess) throws -> [LoopbackConnection] {
      let head = " HTTP/1.1\r\nHost: 127.0.0.1\r\n"
      let kinds = [
        "", "GET /status HTTP/1.1\r\nX: ", "GET /wait?lsn=FF/0&timeout=60s\(head)\r\n",
        "POST /livez\(head)Content-Length: 4000\r\n\r\n",
        String(repeating: "GET /metrics\(head)\r\n", count: 32),
      ]
      return try kinds.flatMap { request in
        try (0..<count).map { _ in
          let connection = try LoopbackConnection(port: cdcd.httpPort, timeout: .seconds(10))
          try connection.send(Array(request.utf8))
          return connection
        }
      }
    }

    @Test("clients that hang delay no delete, keep out no scrape, and cost little", .timeLimit(.minutes(2)))
    func stuckClients() throws {
      let installation = try Installation()
      let cdcd = try installation.cdcd
      func memory() throws -> Double { try #require(try cdcd.metric("process_resident_memory_bytes")) }
      let before = try memory()
      let connections = try Self.stuck(60, cdcd)
      try withExtendedLifetime(connections) {
        for round in 0..<5 {
          let gone = try installation.keysGone(
            of: ["user:\(round)"], after: "INSERT INTO users VALUES (\(round))")
          #expect(gone == ["user:\(round)"])
          #expect(try cdcd.metric("cdcd_ready") == 1)
        }
        // By far: what is meant is seconds for a client that hangs.
        let seconds = try #require(try cdcd.metric("cdcd_commit_to_delete_seconds_sum"))
        #expect(seconds < 2.5)
        #expect(try memory() < before + 64 * 1024 * 1024)
      }
    }

    @Test("a flood of requests delays no delete and no probe", .timeLimit(.minutes(2)))
    func flood() throws {
      let installation = try Installation()
      let cdcd = try installation.cdcd
      let client = try installation.redis.client()
      let scrapes = Array(
        String(repeating: "GET /metrics HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", count: 32).utf8)
      for round in 0..<5 {
        let flood = try (0..<32).map { _ in
          try LoopbackConnection(port: cdcd.httpPort, timeout: .seconds(10))
        }
        for connection in flood { try connection.send(scrapes) }
        try withExtendedLifetime(flood) {
          try client("SET", "user:\(round)", "cached")
          try installation.postgres.query("INSERT INTO users VALUES (\(round))")
          try installation.expectGone("user:\(round)", within: .seconds(5))
          #expect(try cdcd.get("/livez", timeout: .seconds(5)).status == 200)
        }
      }
    }
  }
}
