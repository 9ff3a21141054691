import Foundation
import Testing

extension RealServers {
  /// The servers and clients that the other tests rely on.
  @Suite struct Harness {
    @Test("PostgreSQL starts, answers, freezes, thaws, and stops in both ways")
    func postgres() throws {
      let folder = try TemporaryFolder()
      let server = try PostgresServer(in: folder)
      try server.start()
      let session = try server.session(timeout: .seconds(1))
      #expect(try session.rows("SELECT 1, NULL; SELECT 'a' || 'b'") == [["1", nil], ["ab"]])
      #expect(throws: PostgresClient.ServerError.self) { try session.rows("SELECT 1/0") }
      #expect(try session.value("SHOW wal_level") == "logical")
      #expect(try session.value("SHOW server_version").hasPrefix("\(PostgresServer.version)."))
      server.freeze()
      #expect(throws: LoopbackConnection.Failure.self) { try session.rows("SELECT 1") }
      server.thaw()
      try server.restart(.immediate)
      #expect(try server.value("SELECT 1") == "1")
      try server.stop(.fast)
    }

    @Test("Redis starts, answers, keeps the lease protocol, and forgets after a kill")
    func redis() throws {
      let folder = try TemporaryFolder()
      let server = try RedisServer(in: folder)
      try server.start()
      let client = try server.client()
      #expect(try Lease.get("a", token: "t", from: client) == .granted)
      #expect(try Lease.get("a", token: "u", from: client) == .wait)
      #expect(try Lease.fill("a", token: "u", value: "1", into: client) == false)
      #expect(try Lease.fill("a", token: "t", value: "1", into: client))
      #expect(try Lease.get("a", token: "u", from: client) == .hit("1"))
      try server.kill()
      try server.start()
      #expect(try server.client().exists("a") == false)
    }

    @Test("a lease lives in the slot of its key")
    func leaseKeys() {
      #expect(Lease.key(for: "user:1") == "cdcd:l:{user:1}")
      #expect(Lease.key(for: "order:{7}:items") == "cdcd:l:order:{7}:items")
      #expect(Lease.key(for: "odd:{}") == "cdcd:l:{odd:{}}")
    }

    @Test("a connection that fails closes its own descriptor, once")
    func failedConnection() async throws {
      let port = try LoopbackConnection.freePort()
      async let failures: Void = Task.detached {
        for _ in 0..<20_000 {
          #expect(throws: LoopbackConnection.Failure.self) {
            _ = try LoopbackConnection(port: port, timeout: .seconds(1))
          }
        }
      }.value
      var lost = 0
      for _ in 0..<100_000 {
        let descriptor = unsafe open("/dev/null", O_RDONLY)
        if fcntl(descriptor, F_GETFD) == -1 { lost += 1 }
        close(descriptor)
      }
      await failures
      #expect(lost == 0)
    }

    @Test("no port is handed out twice, and none that a client's connection could take")
    func ports() throws {
      let range = try String(contentsOfFile: "/proc/sys/net/ipv4/ip_local_port_range", encoding: .utf8)
      let first = try #require(range.split { $0.isWhitespace }.first.flatMap { Int($0) })
      let ports = try (0..<100).map { _ in try LoopbackConnection.freePort() }
      #expect(Set(ports).count == ports.count)
      #expect(ports.allSatisfy { $0 < first })
    }

    @Test("a process ends with the object that started it")
    func processEnds() throws {
      let folder = try TemporaryFolder()
      var process: ServerProcess? = try ServerProcess(["/bin/sleep", "600"], log: folder.file("log"))
      let pid = try #require(process).pid
      #expect(kill(pid, 0) == 0)
      process = nil
      #expect(kill(pid, 0) == -1)
    }
  }
}
