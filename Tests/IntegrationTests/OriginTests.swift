import Testing

extension RealServers {
  /// Transactions that a session with a replication origin commits, as a subscriber's are.
  @Suite struct Origins {
    @Test(
      "any time that an origin says of a commit, infinity too, is no reason to flush, or to die",
      arguments: Installation.streamingModes)
    func times(mode: String) throws {
      let installation = try Installation(mode: mode)
      let cdcd = try installation.cdcd
      let flushes = try cdcd.metric("cdcd_flushes_total")
      let gaps = try cdcd.metric("cdcd_gaps_total")
      let timed = try cdcd.metric("cdcd_commit_to_delete_seconds_count") ?? 0
      try installation.postgres.query(
        "SELECT pg_replication_origin_create('far'); INSERT INTO users VALUES (1, 'a'), (2, 'b')")
      // Infinity before and after times, and after itself.
      for (name, time) in [
        ("c", "-infinity"), ("d", "infinity"), ("e", "4714-11-24 00:00:00+00 BC"),
        ("f", "294276-12-31 23:59:59.999999+00"), ("g", "infinity"), ("h", "-infinity"),
      ] {
        let gone = try installation.keysGone(
          of: ["user:1", "user:2", "user:email:\(name)", "document:1"],
          after: """
            SELECT pg_replication_origin_session_setup('far');
            BEGIN;
            SELECT pg_replication_origin_xact_setup('0/1', '\(time)');
            UPDATE users SET email = '\(name)' WHERE id = 1;
            COMMIT
            """)
        #expect(gone == ["user:1", "user:email:\(name)"], "\(time)")
        #expect(try cdcd.get("/healthz").status == 200, "\(time)")
        let answer = try cdcd.get("/why?key=user:1")
        #expect(answer.status == 200)
        if time.hasSuffix("infinity") {
          #expect(answer.body.contains(#""committed_at" : "\#(time)""#), "\(answer.body)")
          #expect(!answer.body.contains(#""milliseconds""#), "\(answer.body)")
        }
        #expect(try cdcd.get("/status").body.contains(#""committed_at""#))
      }
      #expect(try installation.gaps("malformed_message") == 0)
      #expect(try cdcd.metric("cdcd_gaps_total") == gaps)
      #expect(try cdcd.metric("cdcd_flushes_total") == flushes)
      // The first transaction, and the two whose time is a time.
      #expect(try cdcd.metric("cdcd_commit_to_delete_seconds_count") == timed + 3)
      #expect(cdcd.process.isRunning)
      #expect(try cdcd.isReady)
    }
  }
}
