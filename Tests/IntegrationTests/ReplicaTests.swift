import Foundation
import Testing

extension RealServers {
  /// Readers that fill the cache from a read replica: every key is deleted again when the replica shows the change
  /// (contract 1).
  @Suite struct Replicas {
    private func makeInstallation(rows: Int = 3) throws -> (Installation, PostgresServer) {
      var options = Installation.Options()
      options.standbys = 1
      let installation = try Installation(options)
      let standby = try #require(installation.standbys.first)
      try installation.postgres.query(
        "INSERT INTO users SELECT n, NULL, 'old' FROM generate_series(1, \(rows)) n")
      try installation.expectSettled()
      return (installation, standby)
    }

    private func pauseReplay(_ standby: PostgresServer) throws {
      try standby.query("SELECT pg_wal_replay_pause()")
      try eventually("replay is paused") {
        try standby.value("SELECT pg_get_wal_replay_pause_state()") == "paused"
      }
    }

    private func resumeReplay(_ standby: PostgresServer) throws {
      try standby.query("SELECT pg_wal_replay_resume()")
    }

    /// Reads through the cache as an application that queries the replica.
    private func fill(_ id: Int, from standby: PostgresServer, _ redis: RedisClient) throws -> Bool {
      let key = "user:\(id)"
      guard try Lease.get(key, token: "reader", from: redis) == .granted else { return false }
      let value = try standby.value("SELECT name FROM users WHERE id = \(id)")
      return try Lease.fill(key, token: "reader", value: value, into: redis)
    }

    private func gaps(_ reason: String, _ installation: Installation) throws -> Int {
      let prefix = "cdcd_gaps_total{reason=\"\(reason)\"} "
      let line = try installation.cdcd.get("/metrics").body.split(separator: "\n").first {
        $0.hasPrefix(prefix)
      }
      return line.flatMap { Int($0.dropFirst(prefix.count)) } ?? 0
    }

    @Test(
      "what a reader of a lagging replica put back goes when the replica has replayed, and not before /wait says so"
    )
    func laggingReplica() throws {
      let (installation, standby) = try makeInstallation()
      let redis = try installation.redis.client()
      try redis("SET", "user:1", "old")
      try pauseReplay(standby)
      try installation.postgres.query("UPDATE users SET name = 'new' WHERE id = 1")
      let position = try installation.postgres.insertPosition()
      try installation.expectGone("user:1")
      #expect(try fill(1, from: standby, redis), "its lease is younger than the first delete")
      #expect(try redis.get("user:1") == "old")
      // A second reader is in the middle of it.
      #expect(try Lease.get("user:2", token: "late", from: redis) == .granted)
      try installation.postgres.query("UPDATE users SET name = 'new' WHERE id = 2")
      #expect(try !installation.cdcd.settles(position, within: .seconds(1)))
      #expect(try installation.cdcd.isReady, "first deletes go on")
      #expect(try redis.get("user:1") == "old", "nothing to delete before the replica shows it")
      try resumeReplay(standby)
      try installation.expectSettled()
      #expect(try !redis.exists("user:1"))
      #expect(try !Lease.fill("user:2", token: "late", value: "old", into: redis))
      #expect(try installation.cdcd.metric("cdcd_second_deletes_total") ?? 0 >= 2)
    }

    @Test("kill -9 with second deletes pending: the next cdcd makes them")
    func killedBetweenTheDeletes() throws {
      let (installation, standby) = try makeInstallation()
      let redis = try installation.redis.client()
      try redis("SET", "user:1", "old")
      try pauseReplay(standby)
      try installation.postgres.query("UPDATE users SET name = 'new' WHERE id = 1")
      try installation.expectGone("user:1")
      #expect(try fill(1, from: standby, redis))
      let first = try installation.cdcd.process
      first.signal(SIGKILL)
      _ = try first.waitForExit()
      try installation.startCDCD().waitUntilReady()
      // The changes come again, and with them the first delete: fill once more.
      try eventually("a reader of the replica filled the old value") { try fill(1, from: standby, redis) }
      try resumeReplay(standby)
      try installation.expectSettled()
      #expect(try !redis.exists("user:1"))
      #expect(try gaps("replica_restarted", installation) == 0)
    }

    @Test(
      "a replica that is away is told in health and holds back nothing but second deletes; then a flush does their work"
    )
    func unreachableReplica() throws {
      let (installation, standby) = try makeInstallation()
      let redis = try installation.redis.client()
      try standby.stop()
      try redis("SET", "user:1", "old")
      try redis("SET", "user:2", "old")
      try installation.postgres.query("UPDATE users SET name = 'new' WHERE id = 1")
      let position = try installation.postgres.insertPosition()
      try installation.expectGone("user:1")
      try eventually("health names the replica") {
        let health = try installation.cdcd.get("/healthz")
        return health.status == 200 && health.body.contains("second deletes wait") == false
          && health.body.contains("127.0.0.1:\(standby.port)")
      }
      #expect(try installation.cdcd.isReady)
      #expect(try installation.cdcd.get("/readyz").body.contains("replicas: "))
      #expect(try installation.cdcd.metric("cdcd_replica_connected") == 0)
      // As its reader did just before it stopped.
      try redis("SET", "user:1", "old")

      // Longer than its patience: a flush takes over, which the watermark remembers, and WAL is let go.
      try eventually(within: .seconds(40), "the second deletes have become a flush") {
        try gaps("second_deletes_collapsed", installation) > 0
      }
      #expect(try installation.cdcd.isReady)
      #expect(
        try !installation.cdcd.settles(position, within: .seconds(1)),
        "what readers of replicas fill is not settled")
      try installation.postgres.query("UPDATE users SET name = 'new' WHERE id = 2")
      try installation.expectGone("user:2")
      let first = try installation.cdcd.process
      first.signal(SIGKILL)
      _ = try first.waitForExit()
      try installation.startCDCD()
      try installation.cdcd.waitUntilReady()
      try standby.start()
      try installation.expectSettled(within: .seconds(30))
      #expect(try !redis.exists("user:1"))
      #expect(try installation.cdcd.get("/readyz").body.contains("replicas: ") == false)
    }

    @Test(
      "a replica that was started anew while cdcd was away may have shown older rows: its readers' keys are flushed"
    )
    func restartedReplica() throws {
      let (installation, standby) = try makeInstallation()
      let redis = try installation.redis.client()
      let first = try installation.cdcd.process
      first.signal(SIGTERM)
      #expect(try first.waitForExit() == 0)
      try standby.restart()
      // From a snapshot that precedes what was settled.
      try redis("SET", "user:1", "older")
      try redis("SET", "unrelated", "kept")
      try installation.startCDCD().waitUntilReady()
      try installation.expectSettled()
      #expect(try gaps("replica_restarted", installation) == 1)
      #expect(try !redis.exists("user:1"))
      #expect(try redis.exists("unrelated"))
    }

    @Test("a crash of the replica under a running cdcd is seen, and the flush leaves readiness alone")
    func crashedReplica() throws {
      let (installation, standby) = try makeInstallation()
      let redis = try installation.redis.client()
      try standby.restart(.immediate)
      try redis("SET", "user:1", "older")
      try eventually("the restart was seen") { try gaps("replica_restarted", installation) >= 1 }
      #expect(try installation.cdcd.isReady)
      try installation.expectGone("user:1")
      try installation.expectSettled()
    }

    @Test("a replica that was promoted does not count, and is named")
    func promotedReplica() throws {
      var options = Installation.Options()
      options.standbys = 2
      let installation = try Installation(options)
      try installation.standbys[0].query("SELECT pg_promote()")
      try eventually("the promoted one is named") {
        try installation.cdcd.get("/readyz").body.contains("it is not a standby")
      }
      #expect(try installation.cdcd.isReady)
    }
  }
}
