import Foundation
import Testing

extension RealServers {
  /// Servers that are absent, stopped, killed or frozen: cdcd outlives all of it and misses nothing.
  @Suite struct Outages {
    /// Changes user 1 and waits until its key is gone.
    private func expectInvalidation(_ installation: Installation) throws {
      let keys = ["user:1", "unrelated"]
      let sql = """
        INSERT INTO users VALUES (1, 'a@example.org', 'Ada')
        ON CONFLICT (id) DO UPDATE SET name = users.name || '.'
        """
      #expect(try installation.keysGone(of: keys, after: sql) == ["user:1"])
    }

    /// Waits until `/readyz` says that cdcd is not ready, and `/livez` that it lives.
    private func expectNotReady(_ cdcd: CDCDProcess, within limit: Duration = .seconds(20)) throws {
      try eventually(within: limit, "cdcd says that it is not ready") {
        try cdcd.get("/readyz", timeout: .seconds(5)).status == 503
      }
      #expect(try cdcd.get("/livez").status == 200)
      #expect(cdcd.process.isRunning)
    }

    @Test("PostgreSQL absent at start: cdcd waits for it")
    func postgresAbsentAtStart() throws {
      let installation = try Installation(start: false)
      try installation.setUp()
      try installation.postgres.stop()
      let cdcd = try installation.startCDCD()
      try expectNotReady(cdcd)
      try installation.postgres.start()
      try cdcd.waitUntilReady()
      try expectInvalidation(installation)
    }

    @Test("Redis absent at start: cdcd waits for it")
    func redisAbsentAtStart() throws {
      let installation = try Installation(start: false)
      try installation.setUp()
      try installation.redis.stop()
      let cdcd = try installation.startCDCD()
      try expectNotReady(cdcd)
      try installation.redis.start()
      try cdcd.waitUntilReady()
      try expectInvalidation(installation)
    }

    @Test(
      "PostgreSQL restarted in order, and after a crash",
      arguments: [PostgresServer.StopMode.fast, .immediate])
    func postgresRestarted(mode: PostgresServer.StopMode) throws {
      let installation = try Installation()
      let cdcd = try installation.cdcd
      try expectInvalidation(installation)
      let gaps = try cdcd.metric("cdcd_gaps_total")
      try installation.postgres.stop(mode)
      try expectNotReady(cdcd)
      try installation.postgres.start()
      try cdcd.waitUntilReady()
      try expectInvalidation(installation)
      #expect(try cdcd.metric("cdcd_gaps_total") == gaps, "a restart is no gap")
    }

    @Test("the walsender is killed: cdcd connects again and misses nothing")
    func walsenderTerminated() throws {
      let installation = try Installation()
      let redis = try installation.redis.client()
      try expectInvalidation(installation)
      try redis("SET", "user:1", "cached")
      try installation.postgres.query(
        """
        SELECT pg_terminate_backend(pid) FROM pg_stat_replication;
        UPDATE users SET name = 'changed while nobody listened'
        """)
      try installation.expectGone("user:1")
      try installation.expectSettled()
    }

    @Test("Redis away, its data kept: what was committed meanwhile is deleted afterwards")
    func redisStoppedWithData() throws {
      var options = Installation.Options()
      options.redisOptions = ["--save", "", "--appendonly", "yes"]
      let installation = try Installation(options)
      try expectInvalidation(installation)
      let redis = try installation.redis.client()
      try redis("SET", "user:1", "stale")
      try redis("SET", "unrelated", "kept")
      try installation.redis.stop()
      try installation.postgres.query("UPDATE users SET name = 'changed while Redis was away'")
      try expectNotReady(installation.cdcd)
      try installation.redis.start()
      try installation.expectGone("user:1")
      try installation.cdcd.waitUntilReady()
      #expect(try installation.redis.client().exists("unrelated"))
    }

    @Test("Redis killed, its data lost: cdcd says so, recovers, and goes on")
    func redisKilledWithoutData() throws {
      let installation = try Installation()
      let losses = {
        let cdcd = try installation.cdcd
        return try (cdcd.metric("cdcd_lineage_breaks_total") ?? 0) + (cdcd.metric("cdcd_gaps_total") ?? 0)
      }
      try expectInvalidation(installation)
      let before = try losses()
      try installation.redis.kill()
      try installation.redis.start()
      try eventually("cdcd has seen that the watermark is gone") { try losses() > before }
      try installation.cdcd.waitUntilReady()
      try expectInvalidation(installation)
    }

    @Test(
      "Redis comes back from an older snapshot or append-only file: the deletes that it forgot happen again",
      arguments: [false, true])
    func redisRestored(fromAppendOnlyFile: Bool) throws {
      var options = Installation.Options()
      options.retain = "60s"
      if fromAppendOnlyFile { options.redisOptions = ["--save", "", "--appendonly", "yes"] }
      let installation = try Installation(options)
      try expectInvalidation(installation)
      let redis = try installation.redis.client()
      try redis("SET", "user:1", "stale")
      try redis("SET", Lease.key(for: "user:1"), "a reader's token")
      try redis("SET", "unrelated", "kept")
      if fromAppendOnlyFile { try installation.redis.copyAppendOnlyFile() } else { try redis("SAVE") }
      try installation.postgres.query("UPDATE users SET name = 'newer than what is kept'")
      try installation.expectSettled()
      #expect(try !redis.exists("user:1"))
      try installation.redis.kill()
      if fromAppendOnlyFile { try installation.redis.restoreAppendOnlyFile() }
      try installation.redis.start()
      try installation.expectGone("user:1")
      try installation.cdcd.waitUntilReady()
      let restored = try installation.redis.client()
      #expect(try !restored.exists(Lease.key(for: "user:1")), "the old token is of no use")
      #expect(try restored.exists("unrelated"))
    }

    @Test(
      "a replica of Redis that lagged is promoted: the deletes that it never saw happen again",
      Installation.streamOnly)
    func redisReplicaPromoted() throws {
      var options = Installation.Options()
      options.retain = "60s"
      let installation = try Installation(options)
      try expectInvalidation(installation)
      let redis = try installation.redis.client()
      try redis("SET", "user:1", "stale")
      try redis("SET", Lease.key(for: "user:1"), "a reader's token")
      try redis("SET", "unrelated", "kept")
      try installation.redis.startReplica()
      try installation.redis.cutOffReplica()
      try installation.postgres.query("UPDATE users SET name = 'newer than what the replica knows'")
      try installation.expectSettled()
      #expect(try !redis.exists("user:1"))
      let breaks = try installation.cdcd.metric("cdcd_lineage_breaks_total") ?? 0
      let timed = try installation.cdcd.metric("cdcd_commit_to_delete_seconds_count")
      try installation.redis.failOver()
      try installation.expectGone("user:1")
      try installation.cdcd.waitUntilReady()
      let promoted = try installation.redis.client()
      #expect(
        try !Lease.fill("user:1", token: "a reader's token", value: "stale", into: promoted),
        "the old token is of no use")
      #expect(try promoted.exists("unrelated"))
      #expect(try installation.cdcd.metric("cdcd_lineage_breaks_total") == breaks + 1)
      #expect(try installation.cdcd.metric("cdcd_replayed_transactions_total") ?? 0 >= 1)
      #expect(try installation.cdcd.metric("cdcd_commit_to_delete_seconds_count") == timed)
      #expect(try installation.cdcd.get("/why?key=user:1").body.contains(#""replayed" : true"#))
      #expect(try installation.cdcd.process.output.contains("does not hold the last watermark"))
    }

    @Test("Redis out of memory: deletes go on, and the position follows when there is memory again")
    func redisOutOfMemory() throws {
      let installation = try Installation()
      try expectInvalidation(installation)
      let redis = try installation.redis.client()
      try redis("SET", "user:1", "stale")
      try redis("SET", Lease.key(for: "user:1"), "a reader's token")
      try redis("CONFIG", "SET", "maxmemory", "1")
      try installation.postgres.query("UPDATE users SET name = 'newer'")
      let position = try installation.postgres.insertPosition()
      try installation.expectGone("user:1")
      #expect(try !redis.exists(Lease.key(for: "user:1")))
      #expect(try !installation.cdcd.settles(position, within: .seconds(1)), "no watermark could be written")
      try redis("CONFIG", "SET", "maxmemory", "0")
      try installation.expectSettled()
      try installation.cdcd.waitUntilReady()
      #expect(try installation.cdcd.metric("cdcd_lineage_breaks_total") == 0)
    }

    @Test("frozen PostgreSQL is noticed, and after the thaw nothing is missing", .timeLimit(.minutes(3)))
    func postgresFrozen() throws {
      let installation = try Installation()
      try expectInvalidation(installation)
      installation.postgres.freeze()
      try expectNotReady(installation.cdcd, within: .seconds(60))
      installation.postgres.thaw()
      try installation.cdcd.waitUntilReady(within: .seconds(60))
      try expectInvalidation(installation)
    }

    @Test(
      "while Redis is away or frozen, feedback flows beyond wal_sender_timeout and nothing is missed",
      Installation.streamOnly,
      arguments: [true, false])
    func feedbackFlowsWithoutRedis(frozen: Bool) throws {
      var options = Installation.Options()
      options.redisOptions = ["--save", "", "--appendonly", "yes"]
      let installation = try Installation(options)
      try expectInvalidation(installation)
      try installation.redis.client()("SET", "user:1", "stale")
      let walsender = "SELECT pid FROM pg_stat_replication"
      let pid = try installation.postgres.value(walsender)
      if frozen { installation.redis.freeze() } else { try installation.redis.stop() }
      try installation.postgres.query("UPDATE users SET name = 'changed'")

      // wal_sender_timeout is 10 s on cdcd's connection: without feedback it would be closed by then.
      try expectReplies(installation, over: .seconds(13))
      #expect(try installation.postgres.value(walsender) == pid, "it is still the same connection")
      if frozen { installation.redis.thaw() } else { try installation.redis.start() }
      try installation.expectGone("user:1", within: .seconds(45))
      try installation.cdcd.waitUntilReady(within: .seconds(45))
    }

    /// Watches `reply_time` move, without a pause of more than six seconds.
    private func expectReplies(_ installation: Installation, over span: Duration) throws {
      let session = try installation.postgres.session()
      let end = ContinuousClock.now.advanced(by: span)
      while ContinuousClock.now < end {
        let last = try session.value("SELECT reply_time FROM pg_stat_replication")
        try eventually(within: .seconds(6), "a reply after \(last)") {
          try session.value("SELECT reply_time FROM pg_stat_replication") != last
        }
      }
    }
  }
}
