import Foundation
import Testing

extension RealServers {
  /// The process: its exit codes, its commands, and a second one beside it.
  @Suite struct CommandLineAndInstances {
    @Test(
      "cdcd goes on where the watermark is, without a flush, when it was stopped or killed",
      arguments: [
        (signal: SIGTERM, status: Int32(0)), (signal: SIGKILL, status: -SIGKILL),
      ])
    func resume(signal: Int32, status: Int32) throws {
      let installation = try Installation()
      let first = try installation.cdcd
      #expect(try installation.keysGone(of: ["user:1"], after: "INSERT INTO users VALUES (1)") == ["user:1"])
      first.process.signal(signal)
      #expect(try first.process.waitForExit(within: .seconds(10)) == status)
      let redis = try installation.redis.client()
      try redis("SET", "user:1", "stale")
      try redis("SET", "user:2", "kept: a flush would take it away")
      try installation.postgres.query("UPDATE users SET name = 'changed while cdcd was down'")
      try installation.startCDCD().waitUntilReady()
      try installation.expectGone("user:1")
      try installation.expectSettled()
      #expect(try redis.exists("user:2"))
    }

    @Test("a second instance waits, and takes over within seconds when the first is killed")
    func takeOver() throws {
      let installation = try Installation()
      let first = try installation.cdcd
      let second = try installation.startCDCD(named: "second")
      try eventually("the second one says that it is not ready") {
        try second.get("/readyz").status == 503
      }
      #expect(try first.isReady)
      first.process.signal(SIGKILL)
      let duration = try elapsed { try second.waitUntilReady(within: .seconds(30)) }
      #expect(duration < .seconds(10), "took over after \(duration)")
      #expect(try installation.keysGone(of: ["user:1"], after: "INSERT INTO users VALUES (1)") == ["user:1"])
    }

    @Test("a frozen first instance loses the slot, and does no harm when it wakes up")
    func frozenFirstInstance() throws {
      let installation = try Installation()
      let first = try installation.cdcd
      let second = try installation.startCDCD(named: "second")
      first.process.signal(SIGSTOP)
      try second.waitUntilReady(within: .seconds(60))
      #expect(try installation.keysGone(of: ["user:1"], after: "INSERT INTO users VALUES (1)") == ["user:1"])
      first.process.signal(SIGCONT)
      try eventually("the first one says that it is not ready") { try first.get("/readyz").status == 503 }
      #expect(try installation.keysGone(of: ["user:1"], after: "UPDATE users SET name = 'x'") == ["user:1"])
      #expect(try second.isReady)
    }

    @Test("a client that asks and never reads does not hold up the end")
    func clientThatDoesNotRead() throws {
      let installation = try Installation()
      let cdcd = try installation.cdcd
      let client = try LoopbackConnection(port: cdcd.httpPort, timeout: .seconds(1))
      try client.send(
        Array(String(repeating: "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n", count: 20_000).utf8))
      // The answers fill every buffer on the way.
      Thread.sleep(forTimeInterval: 2)
      cdcd.process.signal(SIGTERM)
      #expect(try cdcd.process.waitForExit(within: .seconds(10)) == 0)
    }

    @Test(
      "whoever is to end while it looks at a PostgreSQL that hangs ends with 0", arguments: [SIGTERM, SIGINT])
    func endBeforeTheStart(signal: Int32) throws {
      let installation = try Installation()
      try installation.stopCDCD()
      installation.postgres.freeze()
      defer { installation.postgres.thaw() }
      let process = try installation.startCDCD().process
      try eventually("it takes signals") {
        let status = try String(contentsOfFile: "/proc/\(process.pid)/status", encoding: .utf8)
        let caught = status.split(separator: "\n").first { $0.hasPrefix("SigCgt:") }?.split(separator: "\t")
          .last
        return (caught.flatMap { UInt64($0, radix: 16) } ?? 0) & 1 << UInt64(signal - 1) != 0
      }
      process.signal(signal)
      #expect(try process.waitForExit(within: .seconds(2)) == 0)
    }

    @Test("an open status page is told of the last change and does not hold up the end")
    func clientOfEvents() throws {
      let installation = try Installation()
      let cdcd = try installation.cdcd
      let page = try LoopbackConnection(port: cdcd.httpPort, timeout: .seconds(10))
      try page.send(Array("GET /events HTTP/1.1\r\nHost: localhost\r\n\r\n".utf8))
      #expect(try page.receiveLine() == "HTTP/1.1 200 OK")
      try installation.postgres.query("INSERT INTO users VALUES (1, 'a@example.org')")
      var event = ""
      while !event.contains(#""keys_deleted":2,"name":"public.users""#) { event = try page.receiveLine() }
      cdcd.process.signal(SIGTERM)
      // Less than what a client that does not read is given.
      #expect(try cdcd.process.waitForExit(within: .milliseconds(1_500)) == 0)
      let end = String(decoding: try page.receiveToEnd(), as: UTF8.self)
      #expect(end.hasSuffix("0\r\n\r\n"), "the stream ended in order")
    }

    @Test("a file that is wrong exits 78 and names the line; wrong usage exits 64")
    func badConfiguration() throws {
      let folder = try TemporaryFolder()
      let file = try folder.write(
        """
        source:
          postgres: postgresql://localhost/app
        redis:
          url: redis://localhost:6379/0
        rules:
          - table: public.users
            kesy: ["user:{id}"]
        """, to: "rules.yaml")
      for command in [[], ["run"], ["check", "--offline"]] {
        let result = try CommandResult.of([CDCDProcess.binary] + command + ["--config", file], in: folder)
        #expect(result.status == 78)
        #expect(result.output.contains("7:") && result.output.contains("keys"), "\(result.output)")
      }
      #expect(try CommandResult.of([CDCDProcess.binary, "--no-such-option"], in: folder).status == 64)
    }

    @Test(
      "where nobody takes what it says, it ends with the same status",
      arguments: ["2>/dev/full", "2>&-"])
    func badConfigurationUnheard(redirection: String) throws {
      let folder = try TemporaryFolder()
      let file = try folder.write("ruless: []", to: "wrong.yaml")
      for command in ["run", "check --offline"] {
        let result = try CommandResult.of(
          ["/bin/sh", "-c", "exec \(CDCDProcess.binary) \(command) --config \(file) \(redirection)"],
          in: folder)
        #expect(result.status == 78, "\(command) \(redirection): \(result.output)")
      }
    }

    @Test(
      "setup refuses a table without replica identity, names the ALTER TABLE, and leaves its writers alone",
      Installation.streamOnly)
    func setupRefuses() throws {
      var options = Installation.Options()
      options.schema += "CREATE TABLE keyless (id bigint); INSERT INTO keyless VALUES (1);"
      options.rules += """

          - table: public.keyless
            keys: ["keyless:{id}"]
        """
      let installation = try Installation(options, start: false)
      let result = try installation.command("setup")
      #expect(result.status != 0)
      #expect(result.output.contains("ALTER TABLE") && result.output.contains("keyless"), "\(result.output)")
      let published = try installation.postgres.query(
        "SELECT tablename FROM pg_publication_tables WHERE tablename = 'keyless'")
      #expect(published.isEmpty)
      try installation.postgres.query("UPDATE keyless SET id = 2")
    }

    @Test("setup can be repeated, and --dry-run changes nothing")
    func setupTwice() throws {
      var options = Installation.Options()
      options.mode = "pgoutput"
      let installation = try Installation(options, start: false)
      let count = """
        SELECT (SELECT count(*) FROM pg_publication) + (SELECT count(*) FROM pg_replication_slots)
        """
      let dry = try installation.command("setup", "--dry-run")
      #expect(dry.status == 0)
      #expect(dry.output.contains("CREATE PUBLICATION"))
      #expect(try installation.postgres.value(count) == "0")
      try installation.setUp()
      #expect(try installation.postgres.value(count) == "2")
      try installation.setUp()
      #expect(try installation.postgres.value(count) == "2")
    }
  }
}
