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

    @Test(
      "a lost slot: the keys of the rules are flushed before cdcd is ready, others stay",
      Installation.streamOnly)
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

    /// User 1 cached by a reader that has seen the old row, cdcd down, and the change that no stream will tell.
    private func stale(_ options: Installation.Options = Installation.Options()) throws -> Installation {
      let installation = try Installation(options)
      try installation.postgres.query("INSERT INTO users VALUES (1, NULL, 'old')")
      try installation.expectSettled()
      try installation.stopCDCD()
      let redis = try installation.redis.client()
      for key in ["user:1", "unrelated", Lease.key(for: "user:1")] { try redis("SET", key, "cached") }
      return installation
    }

    private func expectFlush(_ installation: Installation, _ reason: String) throws {
      try installation.startCDCD().waitUntilReady()
      let log = try installation.cdcd.process.output
      #expect(try installation.gaps(reason) == 1, "\(log)")
      let redis = try installation.redis.client()
      for key in ["user:1", Lease.key(for: "user:1")] { #expect(try !redis.exists(key), "\(key)") }
      #expect(try redis.exists("unrelated"))
      #expect(
        try installation.keysGone(of: ["user:1"], after: "DELETE FROM users WHERE id = 1") == ["user:1"])
    }

    @Test("a slot that somebody drops and makes anew while cdcd is down", Installation.streamOnly)
    func recreatedSlot() throws {
      let installation = try stale()
      try installation.postgres.query(
        """
        SELECT pg_drop_replication_slot('cdcd'); UPDATE users SET name = 'never streamed';
        """)
      try installation.postgres.query(
        "SELECT pg_create_logical_replication_slot('cdcd', '\(installation.mode)')")
      try expectFlush(installation, "watermark_behind_slot")
    }

    @Test("a slot that has lost its WAL (max_slot_wal_keep_size) is made anew", Installation.streamOnly)
    func slotWithoutWAL() throws {
      var options = Installation.Options()
      options.postgresSettings = ["max_slot_wal_keep_size=1MB", "min_wal_size=2MB", "max_wal_size=2MB"]
      let installation = try stale(options)
      let session = try installation.postgres.session()
      try session.rows("UPDATE users SET name = 'never streamed'")
      try eventually("the slot is lost") {
        try session.rows(
          "SELECT pg_logical_emit_message(false, 'fill', repeat('x', 4000000)); SELECT pg_switch_wal()")
        try session.rows("CHECKPOINT")
        return try session.value("SELECT wal_status FROM pg_replication_slots") == "lost"
      }
      try expectFlush(installation, "new_slot")
      #expect(try installation.cdcd.process.output.contains("raise max_slot_wal_keep_size"))
    }

    @Test(
      "a slot that was idle for too long (idle_replication_slot_timeout) is made anew",
      .enabled(if: PostgresServer.version >= 18, "slots do not expire before PostgreSQL 18"))
    func slotIdleForTooLong() throws {
      var options = Installation.Options()
      options.postgresSettings = ["idle_replication_slot_timeout=1s"]
      let installation = try stale(options)
      let session = try installation.postgres.session()
      try session.rows("UPDATE users SET name = 'never streamed'")
      try eventually("the slot has expired") {
        try session.rows("CHECKPOINT")
        return try session.value("SELECT wal_status FROM pg_replication_slots") == "lost"
      }
      try expectFlush(installation, "new_slot")
      #expect(try installation.cdcd.process.output.contains("raise idle_replication_slot_timeout"))
    }

    @Test("a promoted standby: another timeline is a gap, even with a slot of the same name")
    func promotedStandby() throws {
      let installation = try stale()
      let standby = try PostgresServer(standbyOf: installation.postgres, named: "standby")
      try standby.start()
      // Readers saw what the standby will never have.
      try installation.postgres.stop(.immediate)
      let session = try standby.session()
      try session.rows("SELECT pg_promote()")
      if installation.mode != "notify" {
        try session.rows("SELECT pg_create_logical_replication_slot('cdcd', '\(installation.mode)')")
      }
      installation.setSource(standby.url)
      try installation.startCDCD().waitUntilReady()
      #expect(try installation.gaps("timeline_changed") == 1)
      let redis = try installation.redis.client()
      #expect(try !redis.exists("user:1"))
      #expect(try redis.exists("unrelated"))
      // The stream flows from there.
      try redis("SET", "user:1", "cached")
      try session.rows("UPDATE users SET name = 'on the new primary'")
      try installation.expectGone("user:1")
    }

    @Test("another database cluster in the place of the first: nothing of what is cached is of its rows")
    func anotherCluster() throws {
      let installation = try stale()
      let other = try PostgresServer(newClusterBeside: installation.postgres, named: "other")
      try other.start()
      try other.query(ExampleTables.schema)
      installation.setSource(other.url)
      try installation.setUp()
      try installation.startCDCD().waitUntilReady()
      // The watermark's name holds the system identifier, so the other one's is not even looked at.
      #expect(try installation.gaps("watermark_missing") == 1)
      #expect(try !installation.redis.client().exists("user:1"))
    }

    @Test(
      "a watermark that is missing, unreadable, beyond the WAL's end, of another system or timeline",
      arguments: [
        ("", "", "watermark_missing"), ("cdcd1", "nonsense", "watermark_malformed"),
        ("applied=[0-9A-F]+/", "applied=FFFF/", "watermark_ahead"),
        ("system=[0-9]+", "system=1", "system_changed"),
        ("timeline=1", "timeline=7", "timeline_changed"), ("rules=[0-9a-f]+", "rules=0", "rules_changed"),
      ])
    func watermark(pattern: String, replacement: String, reason: String) throws {
      let installation = try stale()
      let redis = try installation.redis.client()
      guard case .array(let names) = try redis("KEYS", "cdcd:wm:*"), let key = names.first?.text,
        let value = try redis.get(key)
      else { throw TimedOut(description: "there is no watermark") }
      if pattern.isEmpty {
        try redis("DEL", key)
      } else {
        let other = value.replacing(try Regex(pattern), with: replacement)
        #expect(other != value)
        try redis("SET", key, other)
      }
      try expectFlush(installation, reason)
    }

    @Test(
      "a crash restart with synchronous_commit=off in use is a gap, whether cdcd was running or not",
      arguments: [true, false])
    func crashWithAsynchronousCommits(running: Bool) throws {
      let installation = try stale()
      try installation.postgres.query("ALTER ROLE postgres SET synchronous_commit = off")
      if running {
        try installation.startCDCD().waitUntilReady()
        let redis = try installation.redis.client()
        for key in ["user:1", Lease.key(for: "user:1")] { try redis("SET", key, "cached") }
      }
      try installation.postgres.restart(.immediate)
      if running {
        try eventually("the crash is noticed") { try installation.gaps("crash_recovery") == 1 }
        try installation.cdcd.waitUntilReady()
        #expect(try !installation.redis.client().exists("user:1"))
      } else {
        try expectFlush(installation, "crash_recovery")
      }
    }

    @Test(
      "a session's own asynchronous commit that a crash loses is flushed, if lossless_crash does not rule it out",
      Installation.streamOnly
    )
    func crashWithSilentAsynchronousCommits() throws {
      var options = Installation.Options()
      options.losslessCrash = false
      options.postgresSettings = ["wal_writer_delay=10s"]
      let installation = try Installation(options)
      try installation.postgres.query("INSERT INTO users VALUES (1, NULL, 'kept')")
      try installation.expectSettled()
      let session = try installation.postgres.session()
      try session.rows("SET synchronous_commit = off; UPDATE users SET name = 'lost' WHERE id = 1")
      let redis = try installation.redis.client()
      // Of a reader that saw it.
      try redis("SET", "user:1", "lost")
      try installation.postgres.restart(.immediate)
      #expect(try installation.postgres.value("SELECT name FROM users WHERE id = 1") == "kept")
      try eventually("the crash is noticed") { try installation.gaps("crash_recovery") == 1 }
      // What the server writes by itself is durable within half a minute.
      try installation.expectSettled(within: .seconds(45))
      #expect(try !redis.exists("user:1"))
    }

    @Test("no setting that loses nothing here makes a crash a gap where lossless_crash rules it out")
    func crashWithOtherSettings() throws {
      let installation = try Installation()
      for sql in [
        "CREATE ROLE careful", "ALTER ROLE careful SET synchronous_commit = remote_write",
        "CREATE DATABASE other", "ALTER DATABASE other SET synchronous_commit = off",
      ] { try installation.postgres.query(sql) }
      try installation.stopCDCD()
      try installation.postgres.restart(.immediate)
      try installation.startCDCD().waitUntilReady()
      #expect(try installation.gaps("crash_recovery") == 0)
    }

    @Test("TRUNCATE flushes the rules of its table, and of no other")
    func truncate() throws {
      let installation = try stale()
      try installation.startCDCD().waitUntilReady()
      let redis = try installation.redis.client()
      for key in ["user:1", "order:{1}:item:1"] { try redis("SET", key, "cached") }
      try installation.postgres.query("TRUNCATE users")
      try installation.expectSettled()
      #expect(try !redis.exists("user:1"))
      #expect(try redis.exists("order:{1}:item:1"))
      #expect(try installation.gaps("truncate") == 1)
    }

    @Test(
      "a commit that waits for a standby while the slot is made is never streamed: the flush waits for it",
      Installation.streamOnly)
    func commitStuckBeforeTheSlot() throws {
      let installation = try stale()
      let session = try installation.postgres.session()
      func setGhost(_ name: String) throws {
        try session.rows("ALTER SYSTEM SET synchronous_standby_names = '\(name)'")
        try session.rows("SELECT pg_reload_conf()")
        try eventually("the setting is in force") {
          try installation.postgres.value("SHOW synchronous_standby_names") == name
        }
      }
      try setGhost("ghost")
      let held = try installation.postgres.session()
      try held.begin("UPDATE users SET name = 'new' WHERE id = 1")
      try eventually("the commit waits for the standby") {
        try session.value("SELECT wait_event FROM pg_stat_activity WHERE pid = \(held.backend)") == "SyncRep"
      }
      try session.rows("SET synchronous_commit = local")
      try session.rows("SELECT pg_drop_replication_slot('cdcd')")
      let cdcd = try installation.startCDCD()
      try eventually("cdcd names the process whose commit it waits for") {
        try cdcd.get("/readyz").body.contains("process \(held.backend)")
      }
      // What a reader puts back now is of the old row.
      let redis = try installation.redis.client()
      #expect(try session.value("SELECT name FROM users WHERE id = 1") == "old")
      try redis("SET", "user:1", "old")
      try setGhost("")
      _ = try held.receiveAnswer()
      try cdcd.waitUntilReady()
      #expect(try !redis.exists("user:1"))
      #expect(try installation.gaps("new_slot") == 1)
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
      Installation.streamOnly,
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
