import Foundation
import Testing

extension RealServers {
  /// A commit that waits for a synchronous standby is on the wire before anybody can see it (contract 1).
  @Suite struct GhostStandby {
    private func setGhost(_ on: Bool, _ installation: Installation) throws {
      let session = try installation.postgres.session()
      let change = on ? "SET synchronous_standby_names = 'ghost'" : "RESET synchronous_standby_names"
      try session.rows("ALTER SYSTEM \(change)")
      try session.rows("SELECT pg_reload_conf()")
      try eventually("the server has read its configuration") {
        try installation.postgres.value("SHOW synchronous_standby_names") == (on ? "ghost" : "")
      }
    }

    @Test(
      "a commit held by a standby that never comes is deleted only when it is visible; others pass meanwhile",
      Installation.streamOnly)
    func heldCommit() throws {
      let installation = try Installation()
      let redis = try installation.redis.client()
      let session = try installation.postgres.session()
      try session.rows("INSERT INTO users SELECT n, NULL, 'old' FROM generate_series(1, 20) n")
      try installation.expectSettled()
      for id in 1...20 { try redis("SET", "user:\(id)", "cached") }
      try setGhost(true, installation)

      let held = try installation.postgres.session()
      try held.begin("UPDATE users SET name = 'new' WHERE id = 1")
      try eventually("the commit waits for the standby") {
        try session.value("SELECT wait_event FROM pg_stat_activity WHERE pid = \(held.backend)") == "SyncRep"
      }
      let position = try installation.postgres.insertPosition()
      try eventually("the commit was sent to cdcd") {
        try session.value("SELECT sent_lsn >= '\(position)' FROM pg_stat_replication") == "t"
      }

      // Longer than wal_sender_timeout, with other transactions all the time.
      let walsender = try session.value("SELECT pid FROM pg_stat_replication")
      var replies: Set<String> = []
      for id in 2...14 {
        replies.insert(try session.value("SELECT reply_time FROM pg_stat_replication"))
        try session.rows(
          "BEGIN; SET LOCAL synchronous_commit = local; UPDATE users SET name = 'x' WHERE id = \(id); COMMIT")
        try installation.expectGone("user:\(id)")
        #expect(try session.value("SELECT name FROM users WHERE id = 1") == "old")
        #expect(try redis.exists("user:1"), "the row that readers see is still the old one")
        Thread.sleep(forTimeInterval: 0.9)
      }
      #expect(replies.count > 2, "feedback flowed: \(replies)")
      #expect(try session.value("SELECT pid FROM pg_stat_replication") == walsender)
      #expect(try !installation.cdcd.settles(position, within: .seconds(1)), "not before it is visible")
      let told = "has committed, and no reader sees it since"
      #expect(try installation.cdcd.get("/healthz").body.contains(told))
      #expect(try installation.cdcd.get("/wait?lsn=\(position)&timeout=10ms").body.contains(told))
      #expect(try installation.cdcd.process.output.components(separatedBy: told).count == 2, "told once")
      #expect(try installation.cdcd.isReady)

      try setGhost(false, installation)
      _ = try held.receiveAnswer()
      try installation.expectGone("user:1")
      try installation.expectSettled()
      #expect(try redis.exists("user:20"))
    }

    @Test(
      "cdcd is made a synchronous standby while it runs: it lets go, names what to change, and misses nothing",
      Installation.streamOnly
    )
    func madeStandbyWhileRunning() throws {
      let installation = try Installation()
      let redis = try installation.redis.client()
      let session = try installation.postgres.session()
      try session.rows("INSERT INTO users VALUES (1, NULL, 'old')")
      try installation.expectSettled()
      try redis("SET", "user:1", "cached")
      try session.rows("ALTER SYSTEM SET synchronous_standby_names = '*'")
      try session.rows("SELECT pg_reload_conf()")
      try eventually("the walsender is a synchronous standby") {
        try session.value("SELECT sync_state FROM pg_stat_replication") == "sync"
      }
      let held = try installation.postgres.session()
      try held.begin("UPDATE users SET name = 'new' WHERE id = 1")
      try eventually("cdcd has let go") {
        let response = try installation.cdcd.get("/readyz")
        return try response.status == 503 && response.body.contains("synchronous_standby_names")
          && session.value("SELECT count(*) FROM pg_stat_replication") == "0"
      }
      #expect(try redis.exists("user:1"))
      try session.rows("ALTER SYSTEM RESET synchronous_standby_names")
      try session.rows("SELECT pg_reload_conf()")
      _ = try held.receiveAnswer()
      try installation.cdcd.waitUntilReady()
      try installation.expectSettled()
      #expect(try !redis.exists("user:1"))
    }

    @Test("a held commit survives a kill of cdcd: the next one waits for it too")
    func heldCommitAndKill() throws {
      let installation = try Installation()
      let redis = try installation.redis.client()
      let session = try installation.postgres.session()
      try session.rows("INSERT INTO users VALUES (1, NULL, 'old')")
      try installation.expectSettled()
      try redis("SET", "user:1", "cached")
      try setGhost(true, installation)
      let held = try installation.postgres.session()
      try held.begin("UPDATE users SET name = 'new' WHERE id = 1")
      try eventually("the commit waits for the standby") {
        try session.value("SELECT wait_event FROM pg_stat_activity WHERE pid = \(held.backend)") == "SyncRep"
      }
      let first = try installation.cdcd
      first.process.signal(SIGKILL)
      _ = try first.process.waitForExit()
      try installation.startCDCD().waitUntilReady()
      #expect(try redis.exists("user:1"))
      try setGhost(false, installation)
      _ = try held.receiveAnswer()
      try installation.expectGone("user:1")
    }
  }
}
