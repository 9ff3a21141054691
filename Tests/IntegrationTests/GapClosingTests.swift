import Foundation
import Testing

extension RealServers {
  /// `on_gap: halt`, and `cdcd flush --close-gap`, which ends it.
  @Suite struct GapClosing {
    @Test("a halt names both ways out; flush --close-gap flushes, and the daemon goes on")
    func closes() throws {
      var options = Installation.Options()
      options.onGap = "halt"
      let installation = try Installation(options, start: false)
      try installation.setUp()
      let redis = try installation.redis.client()
      for key in ["user:1", "unrelated"] { try redis("SET", key, "cached") }
      let halted = try installation.startCDCD()
      #expect(try halted.process.waitForExit() == 76)
      for way in ["cdcd flush --close-gap", "cdcd run --accept-gap"] {
        #expect(try halted.process.output.contains(way))
      }
      #expect(try redis.exists("user:1"))
      let closing = try installation.command("flush", "--close-gap")
      #expect(closing.status == 0, "\(closing.output)")
      #expect(closing.output.contains("The gap is closed."))
      #expect(try !redis.exists("user:1"))
      #expect(try redis.exists("unrelated"))

      // Of a gap that lies in the stream, not at its beginning.
      let running = try installation.startCDCD()
      try running.waitUntilReady()
      try redis("SET", "user:1", "cached")
      try redis("SET", "order:{1}:item:1", "kept")
      try installation.postgres.query("TRUNCATE users")
      #expect(try running.process.waitForExit() == 76)
      #expect(try installation.startCDCD().process.waitForExit() == 76)
      #expect(try redis.exists("user:1"))
      #expect(try installation.command("flush", "--close-gap").status == 0)
      #expect(try !redis.exists("user:1"))
      #expect(try redis.exists("order:{1}:item:1"))
      try installation.startCDCD().waitUntilReady()
      // Nothing left to close is fine as well.
      try installation.stopCDCD()
      #expect(try installation.command("flush", "--close-gap").status == 0)
    }

    @Test("killed on the way, the flush is finished by the next start, which does not halt")
    func killed() throws {
      var options = Installation.Options()
      options.onGap = "halt"
      let installation = try Installation(options, start: false)
      try installation.setUp()
      let redis = try installation.redis.client()
      try redis("SET", "user:1", "cached")
      #expect(try installation.startCDCD().process.waitForExit() == 76)
      let session = try installation.postgres.session()
      try session.rows("BEGIN; INSERT INTO unruled VALUES (1)")
      let closing = try installation.startCDCD(named: "closing", with: ["flush", "--close-gap"])
      try eventually("it waits at its barrier, and says so") {
        try closing.process.output.contains("waiting for process \(session.backend)")
      }
      closing.process.signal(SIGKILL)
      _ = try closing.process.waitForExit()
      try session.rows("COMMIT")
      try installation.startCDCD().waitUntilReady()
      #expect(try !redis.exists("user:1"))
    }

    @Test("a replica that is away is named, and given up after the timeout; the next start goes on")
    func absentReplica() throws {
      var options = Installation.Options()
      options.onGap = "halt"
      options.standbys = 1
      let installation = try Installation(options, start: false)
      let standby = try #require(installation.standbys.first)
      try installation.setUp()
      #expect(try installation.startCDCD().process.waitForExit() == 76)
      try standby.stop()
      let closing = try installation.command("flush", "--close-gap", "--timeout", "3s")
      #expect(closing.status == 69)
      #expect(
        closing.output.contains("waiting for postgresql://postgres@127.0.0.1:\(standby.port)"),
        "\(closing.output)")
      try standby.start()
      try installation.startCDCD().waitUntilReady()
      try installation.expectSettled()
    }

    @Test("exit codes: 69 when a server is away or cdcd holds the slot")
    func exitCodes() throws {
      let installation = try Installation()
      let busy = try installation.command("flush", "--close-gap", "--timeout", "2s")
      #expect(busy.status == 69)
      #expect(busy.output.contains("Is cdcd still running?"), "\(busy.output)")
      #expect(try installation.cdcd.isReady)
      try installation.stopCDCD()
      try installation.redis.stop()
      #expect(try installation.command("flush", "--close-gap", "--timeout", "2s").status == 69)
      try installation.redis.start()
      try installation.postgres.stop()
      #expect(try installation.command("flush", "--close-gap", "--timeout", "2s").status == 69)
      #expect(try installation.command("flush", "--close-gap", "--timeout", "soon").status == 64)
    }
  }
}
