import Foundation
import Testing

extension RealServers {
  /// Where continuity cannot be proved, cdcd says so and flushes, or halts (contract 4).
  @Suite struct Gaps {
    private func stopCDCD(_ installation: Installation) throws {
      let process = try installation.cdcd.process
      process.signal(SIGTERM)
      #expect(try process.waitForExit() == 0)
    }

    /// Caches the keys, and changes user 1 in a way that no stream will ever tell.
    private func loseSlot(_ installation: Installation) throws {
      let redis = try installation.redis.client()
      for key in ["user:1", "user:2", "unrelated", Lease.key(for: "user:1")] {
        try redis("SET", key, "cached")
      }
      try installation.postgres.query(
        "SELECT pg_drop_replication_slot('cdcd'); UPDATE users SET name = 'never streamed' WHERE id = 1")
    }

    @Test("a lost slot: the keys of the rules are flushed before cdcd is ready, others stay")
    func lostSlotFlushes() throws {
      let installation = try Installation()
      try installation.postgres.query("INSERT INTO users VALUES (1), (2)")
      try installation.expectSettled()
      try stopCDCD(installation)
      try loseSlot(installation)
      try installation.startCDCD().waitUntilReady()
      let redis = try installation.redis.client()
      for key in ["user:1", "user:2", Lease.key(for: "user:1")] { #expect(try !redis.exists(key), "\(key)") }
      #expect(try redis.exists("unrelated"))
      #expect(try installation.cdcd.metric("cdcd_gaps_total") ?? 0 >= 1)
      #expect(
        try installation.keysGone(of: ["user:1"], after: "DELETE FROM users WHERE id = 1") == ["user:1"])
    }

    @Test("on_gap: halt exits 76 and deletes nothing; --accept-gap goes on")
    func haltAndAccept() throws {
      var options = Installation.Options()
      options.onGap = "halt"
      let installation = try Installation(options, start: false)
      try installation.setUp()
      let redis = try installation.redis.client()
      try redis("SET", "user:1", "cached")
      let halted = try installation.startCDCD()
      #expect(try halted.process.waitForExit() == 76)
      #expect(try halted.process.output.contains("--accept-gap"))
      #expect(try redis.exists("user:1"))
      try installation.startCDCD(with: ["run", "--accept-gap"]).waitUntilReady()
      #expect(try redis.exists("user:1"))
      #expect(try installation.keysGone(of: ["user:1"], after: "INSERT INTO users VALUES (1)") == ["user:1"])
    }

    @Test("FLUSHALL on an unbroken connection is no gap: the watermark is written again")
    func flushAll() throws {
      let installation = try Installation()
      let gaps = try installation.cdcd.metric("cdcd_gaps_total")
      try installation.redis.client()("FLUSHALL")
      #expect(try installation.keysGone(of: ["user:1"], after: "INSERT INTO users VALUES (1)") == ["user:1"])
      let redis = try installation.redis.client()
      try eventually("the watermark is back") { try redis("KEYS", "cdcd:wm:*") != .array([]) }
      #expect(try installation.cdcd.metric("cdcd_gaps_total") == gaps)
    }

    @Test("a backlog of many transactions while Redis is away takes no memory, and is worked off afterwards")
    func backlogInBoundedMemory() throws {
      let installation = try Installation()
      let cdcd = try installation.cdcd
      try installation.redis.stop()
      let before = try residentBytes(cdcd)
      let session = try installation.postgres.session()
      try session.rows(
        """
        DO $$ BEGIN FOR n IN 1..300 LOOP
          INSERT INTO users SELECT id, id || '@example.org' FROM generate_series(n * 1000, n * 1000 + 999) id;
          COMMIT;
        END LOOP; END $$
        """)
      // What cdcd takes in before it stops reading arrives within this time; there is no event to wait for.
      for _ in 0..<20 {
        #expect(try residentBytes(cdcd) - before < 96 << 20)
        Thread.sleep(forTimeInterval: 0.1)
      }
      try installation.redis.start()
      try cdcd.waitUntilReady(within: .seconds(60))
      try installation.expectSettled(within: .seconds(60))
      #expect(try residentBytes(cdcd) - before < 96 << 20)
    }

    /// Source: proc(5), "VmHWM": the peak of the resident set.
    private func residentBytes(_ cdcd: CDCDProcess) throws -> Int {
      let status = try String(contentsOfFile: "/proc/\(cdcd.process.pid)/status", encoding: .utf8)
      let line = status.split(separator: "\n").first { $0.hasPrefix("VmHWM:") }
      return (line?.split(whereSeparator: \.isWhitespace).dropFirst().first.flatMap { Int($0) } ?? 0) * 1024
    }

    @Test(
      "cdcd as its own synchronous standby would deadlock every commit: it refuses, and says what to change",
      arguments: ["*", "FIRST 1 (standby, cdcd)", "\"CDCD\""])
    func ownStandby(names: String) throws {
      let installation = try Installation(start: false)
      try installation.setUp()
      let session = try installation.postgres.session()
      try session.rows("ALTER SYSTEM SET synchronous_standby_names = '\(names)'")
      try session.rows("SELECT pg_reload_conf()")
      let cdcd = try installation.startCDCD()
      try eventually("cdcd names synchronous_standby_names") {
        let response = try cdcd.get("/readyz", timeout: .seconds(5))
        return response.status == 503 && response.body.contains("synchronous_standby_names")
      }
      try session.rows("ALTER SYSTEM SET synchronous_standby_names = ''")
      try session.rows("SELECT pg_reload_conf()")
      try cdcd.waitUntilReady()
    }
  }
}
