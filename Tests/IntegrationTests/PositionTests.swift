import Foundation
import Testing

extension RealServers {
  /// What is confirmed to the slot, and what `/wait` promises.
  @Suite struct Positions {
    private func slotIsAt(_ position: String) -> String {
      "SELECT confirmed_flush_lsn >= '\(position)' FROM pg_replication_slots"
    }

    @Test("/wait gives read-your-writes: once it answers 200 the key is gone")
    func readYourWrites() throws {
      let installation = try Installation()
      let redis = try installation.redis.client()
      let session = try installation.postgres.session()
      try session.rows("INSERT INTO users SELECT n FROM generate_series(1, 50) n")
      for id in 1...50 {
        try redis("SET", "user:\(id)", "stale")
        try session.rows("UPDATE users SET name = 'x' WHERE id = \(id)")
        try installation.expectSettled()
        #expect(try !redis.exists("user:\(id)"))
      }
    }

    @Test("/wait for the flushed position answers at once, whatever others have written and not committed")
    func waitBesideOpenTransaction() throws {
      let installation = try Installation()
      let redis = try installation.redis.client()
      let session = try installation.postgres.session()
      let other = try installation.postgres.session()
      try session.rows("INSERT INTO users SELECT n FROM generate_series(1, 5) n")
      try other.rows("BEGIN; INSERT INTO unruled VALUES (0)")
      for id in 1...5 {
        try redis("SET", "user:\(id)", "stale")
        try session.rows("UPDATE users SET name = 'x' WHERE id = \(id)")
        try eventually("what the other has written is not flushed") {
          try other.rows("INSERT INTO unruled SELECT count(*) FROM unruled")
          return try session.value("SELECT pg_current_wal_insert_lsn() > pg_current_wal_flush_lsn()") == "t"
        }
        let position = try session.value("SELECT pg_current_wal_flush_lsn()")
        #expect(try installation.cdcd.settles(position, within: .seconds(2)))
        #expect(try !redis.exists("user:\(id)"))
      }
    }

    @Test(
      "with synchronous_commit = off the inserted position covers the commit, and /wait answers once it is flushed"
    )
    func waitAfterAsynchronousCommit() throws {
      let installation = try Installation()
      let redis = try installation.redis.client()
      let session = try installation.postgres.session()
      try session.rows("INSERT INTO users VALUES (1)")
      try installation.expectSettled()
      try redis("SET", "user:1", "stale")
      try session.rows("SET synchronous_commit = off")
      try session.rows("UPDATE users SET name = 'x'")
      let position = try session.value("SELECT pg_current_wal_insert_lsn()")
      #expect(try installation.cdcd.settles(position, within: .seconds(20)))
      #expect(try !redis.exists("user:1"))
    }

    @Test("/wait answers 504 for a position in the future, after its timeout")
    func waitTimesOut() throws {
      let installation = try Installation()
      let response = try installation.cdcd.get("/wait?lsn=FFFFFF/0&timeout=1s")
      #expect(response.status == 504)
      #expect(try installation.cdcd.get("/wait?lsn=nonsense").status == 400)
    }

    @Test("the slot is confirmed `retain` behind what is settled, and then it is", Installation.streamOnly)
    func retained() throws {
      var options = Installation.Options()
      options.retain = "6s"
      let installation = try Installation(options)
      try installation.postgres.query("INSERT INTO users VALUES (1)")
      let position = try installation.postgres.insertPosition()
      let settled = ContinuousClock.now
      try installation.expectSettled()
      let session = try installation.postgres.session()
      try eventually(within: .seconds(20), "the slot is confirmed up to \(position)") {
        try session.value(slotIsAt(position)) == "t"
      }
      #expect(ContinuousClock.now - settled > .seconds(5), "it was held back")
    }

    @Test("an idle database does not pin WAL that other databases write", Installation.streamOnly)
    func idleDatabase() throws {
      let installation = try Installation()
      try installation.postgres.query("CREATE DATABASE other")
      let other = try PostgresClient(port: installation.postgres.port, database: "other")
      try other.rows("CREATE TABLE busy AS SELECT md5(n::text) FROM generate_series(1, 100000) n")
      let position = try installation.postgres.insertPosition()
      let session = try installation.postgres.session()
      try eventually(within: .seconds(30), "the slot is confirmed up to \(position)") {
        try session.value(slotIsAt(position)) == "t"
      }
      try eventually(within: .seconds(30), "the slot lets go of that WAL") {
        try other.rows("CHECKPOINT")
        return try session.value("SELECT restart_lsn >= '\(position)' FROM pg_replication_slots") == "t"
      }
    }

    @Test(
      "pg_ctl stop -m fast ends within 3 s, although the confirmation is held back", Installation.streamOnly)
    func fastShutdown() throws {
      var options = Installation.Options()
      options.retain = "60s"
      let installation = try Installation(options)
      try installation.postgres.query("INSERT INTO users VALUES (1)")
      try installation.expectSettled()
      let position = try installation.postgres.insertPosition()
      #expect(try installation.postgres.value(slotIsAt(position)) == "f", "nothing is confirmed yet")
      let duration = try installation.postgres.stop(.fast)
      #expect(duration < .seconds(3), "the stop took \(duration)")
      try installation.postgres.start()
      #expect(try installation.postgres.value(slotIsAt(position)) == "f", "nor was it confirmed early")
      try installation.cdcd.waitUntilReady()
      #expect(try installation.keysGone(of: ["user:1"], after: "DELETE FROM users") == ["user:1"])
    }

    @Test("pg_ctl stop -m fast ends within 3 s with Redis away and a transaction that cannot be settled")
    func fastShutdownWithoutRedis() throws {
      let installation = try Installation()
      try installation.redis.stop()
      try installation.postgres.query("INSERT INTO users VALUES (1)")
      let duration = try installation.postgres.stop(.fast)
      #expect(duration < .seconds(3), "the stop took \(duration)")
      #expect(try installation.cdcd.process.isRunning)
    }
  }
}
