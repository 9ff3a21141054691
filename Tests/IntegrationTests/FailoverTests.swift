import Testing

extension RealServers {
  /// A standby that keeps cdcd's slot in step takes over: the stream goes on and misses nothing (contract 4).
  @Suite(.enabled(if: PostgresServer.version >= 17, "slots are synchronized from PostgreSQL 17 on"))
  struct Failover {
    /// A primary and the standby that takes over from it, both named in `source.postgres`. Users 1 to 9 are there.
    private struct Pair {
      let installation: Installation
      let standby: PostgresServer
      var primary: PostgresServer { installation.postgres }

      /// `isSynchronous`: commits wait for the standby. `isFirst`: cdcd hears of a commit only when the standby has it.
      init(
        losslessFailover: Bool, isSynchronous: Bool = false, isFirst: Bool = true, synchronizes: Bool = true
      ) throws {
        var options = Installation.Options()
        options.retain = "1s"
        options.losslessFailover = losslessFailover
        options.postgresSettings =
          ["hot_standby_feedback=on"] + (isFirst ? ["synchronized_standby_slots=standby"] : [])
        installation = try Installation(options, start: false)
        standby = try PostgresServer(
          standbyOf: installation.postgres, named: "standby",
          settings: ["synchronized_standby_slots=", "sync_replication_slots=\(synchronizes ? "on" : "off")"],
          slot: true)
        try standby.start()
        if isSynchronous {
          try installation.postgres.query("ALTER SYSTEM SET synchronous_standby_names = walreceiver")
          try installation.postgres.query("SELECT pg_reload_conf()")
        }
        installation.setSource(
          "postgresql://postgres@127.0.0.1:\(installation.postgres.port),127.0.0.1:\(standby.port)/postgres")
        try installation.setUp()
        try installation.startCDCD().waitUntilReady()
        try installation.postgres.query(
          "INSERT INTO users SELECT n, NULL, 'old' FROM generate_series(1, 9) n")
        try installation.expectSettled()
        if synchronizes { try waitUntilSynchronized() }
      }

      /// The standby keeps the slot for good once it has a consistent snapshot, which takes WAL and a slot that moves.
      private func waitUntilSynchronized() throws {
        try eventually(within: .seconds(60), "the slot is kept in step") {
          try primary.query("SELECT pg_log_standby_snapshot()")
          return try standby.value(
            "SELECT count(*) FROM pg_replication_slots WHERE synced AND failover AND NOT temporary") == "1"
        }
      }

      /// User 1 is changed on the primary alone, and a reader caches what it sees.
      func makePhantom() throws {
        try standby.stop()
        try primary.query("UPDATE users SET name = 'phantom' WHERE id = 1")
        #expect(try primary.value("SELECT name FROM users WHERE id = 1") == "phantom")
      }

      /// The primary is gone, and the standby in its place.
      func failOver() throws {
        try primary.stop(.immediate)
        try promote()
      }

      func promote() throws {
        #expect(try standby.value("SELECT pg_promote()") == "t")
      }

      /// Waits until cdcd streams from the standby and everything there is settled.
      func expectSettledOnStandby() throws {
        let cdcd = try installation.cdcd
        try eventually(within: .seconds(60), "cdcd streams from the promoted server") {
          try standby.value("SELECT count(*) FROM pg_stat_replication WHERE state = 'streaming'") == "1"
        }
        try cdcd.waitUntilReady()
        let position = try standby.insertPosition()
        #expect(try cdcd.settles(position))
      }
    }

    private func cache(_ keys: [String], _ redis: RedisClient) throws {
      for key in keys { try redis("SET", key, "cached") }
    }

    @Test(
      "with lossless_failover nothing is missed before, during and after it, and nothing else is flushed",
      arguments: [true, false])
    func lossless(cdcdRuns: Bool) throws {
      let pair = try Pair(losslessFailover: true, isSynchronous: true)
      let redis = try pair.installation.redis.client()
      try cache((1...9).map { "user:\($0)" }, redis)
      if !cdcdRuns { try pair.installation.stopCDCD() }
      try pair.primary.query("UPDATE users SET name = 'before' WHERE id = 1")
      try pair.failOver()
      try pair.standby.query("UPDATE users SET name = 'during' WHERE id = 2")
      if !cdcdRuns { try pair.installation.startCDCD() }
      try pair.expectSettledOnStandby()
      try pair.standby.query("UPDATE users SET name = 'after' WHERE id = 3")
      try pair.expectSettledOnStandby()
      for id in 1...3 { #expect(try !redis.exists("user:\(id)"), "user:\(id)") }
      for id in 4...9 { #expect(try redis.exists("user:\(id)"), "user:\(id)") }
      #expect(try pair.installation.gaps("timeline_changed") == 0)
      let log = try pair.installation.cdcd.process.output
      #expect(log.contains("the server was promoted: the stream goes on"), "\(log)")
      // A restart finds the watermark of the new timeline.
      try pair.installation.stopCDCD()
      try pair.installation.startCDCD().waitUntilReady()
      #expect(try pair.installation.gaps("timeline_changed") == 0)
      #expect(try redis.exists("user:9"))
    }

    @Test("without it the stream goes on as well, and what readers saw of lost commits is flushed")
    func phantoms() throws {
      let pair = try Pair(losslessFailover: false)
      let redis = try pair.installation.redis.client()
      try pair.makePhantom()
      try cache(["user:1", "user:9", "unrelated"], redis)
      try pair.primary.stop(.immediate)
      try pair.standby.start()
      try pair.promote()
      #expect(try pair.standby.value("SELECT name FROM users WHERE id = 1") == "old")
      try pair.standby.query("UPDATE users SET name = 'during' WHERE id = 2")
      try pair.expectSettledOnStandby()
      #expect(try pair.installation.gaps("timeline_changed") == 1)
      #expect(try pair.installation.gaps("new_slot") == 0)
      #expect(try !redis.exists("user:1") && !redis.exists("user:9"))
      #expect(try redis.exists("unrelated"))
      try cache(["user:3"], redis)
      try pair.standby.query("UPDATE users SET name = 'after' WHERE id = 3")
      try pair.expectSettledOnStandby()
      #expect(try !redis.exists("user:3"))
    }

    @Test("lossless_failover is not believed where cdcd itself has seen commits that are lost")
    func lossIsSeen() throws {
      let pair = try Pair(losslessFailover: true, isFirst: false)
      let redis = try pair.installation.redis.client()
      try pair.makePhantom()
      try pair.installation.expectSettled()
      try cache(["user:1"], redis)
      try pair.primary.stop(.immediate)
      try pair.standby.start()
      try pair.promote()
      try pair.expectSettledOnStandby()
      #expect(try pair.installation.gaps("timeline_changed") == 1)
      #expect(try !redis.exists("user:1"))
      let log = try pair.installation.cdcd.process.output
      #expect(log.contains("source.lossless_failover does not hold: the watermark at"), "\(log)")
    }

    @Test("a standby that did not keep the slot: it is made anew, and the gap is told and flushed")
    func slotNotSynchronized() throws {
      let pair = try Pair(losslessFailover: true, isSynchronous: true, synchronizes: false)
      let redis = try pair.installation.redis.client()
      // Else it would have made the slot before anything else can run there.
      try pair.installation.stopCDCD()
      try pair.failOver()
      // The new slot waits for it, and /readyz says so.
      let running = try pair.standby.session()
      try running.rows("BEGIN; UPDATE users SET name = 'during' WHERE id = 2")
      try cache(["user:1", "user:2", "unrelated"], redis)
      try pair.installation.startCDCD()
      try eventually(within: .seconds(30), "cdcd waits for the new slot") {
        let response = try pair.installation.cdcd.get("/readyz")
        return response.status == 503 && response.body.contains("slot")
          && response.body.contains("\(running.backend)")
      }
      try running.rows("COMMIT")
      try pair.expectSettledOnStandby()
      #expect(try pair.installation.gaps("new_slot") == 1)
      #expect(try !redis.exists("user:1") && !redis.exists("user:2"))
      #expect(try redis.exists("unrelated"))
      #expect(try pair.installation.cdcd.process.output.contains("the replication slot is new"))
      #expect(
        try pair.standby.value(
          "SELECT failover AND NOT synced FROM pg_replication_slots WHERE slot_name = 'cdcd'")
          == "t")
    }

    @Test("a server that is promoted while cdcd connects is on the new timeline")
    func promotedWhileConnecting() throws {
      let pair = try Pair(losslessFailover: false)
      try pair.installation.stopCDCD()
      try pair.makePhantom()
      let redis = try pair.installation.redis.client()
      try cache(["user:1"], redis)
      try pair.primary.stop(.immediate)
      try pair.standby.start()
      let session = try pair.standby.session()
      // The query connection comes up after the replication connection has told the timeline.
      try session.rows("ALTER SYSTEM SET pre_auth_delay = 2")
      try session.rows("SELECT pg_reload_conf()")
      try eventually("the setting is in force") { try session.value("SHOW pre_auth_delay") == "2s" }
      pair.installation.setSource(pair.standby.url)
      try pair.installation.startCDCD()
      try eventually("the replication connection is there") {
        try session.value("SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'walsender'") == "1"
      }
      #expect(try session.value("SELECT pg_promote()") == "t")
      try session.rows("ALTER SYSTEM RESET pre_auth_delay")
      try session.rows("SELECT pg_reload_conf()")
      try pair.expectSettledOnStandby()
      #expect(try pair.installation.gaps("timeline_changed") == 1)
      #expect(try !redis.exists("user:1"))
    }
  }
}
