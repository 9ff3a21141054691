import Testing

extension RealServers {
  /// Keys that no rule derives: an application names them in its transaction.
  @Suite struct Messages {
    private static let rules = ExampleTables.rules + "\n  - messages: true\n    pattern: \"note:*\""

    private func installation(
      mode: String, _ adjust: (inout Installation.Options) -> Void = { _ in }
    ) throws -> Installation {
      var options = Installation.Options()
      options.mode = mode
      options.rules = Self.rules
      adjust(&options)
      return try Installation(options)
    }

    /// SQL that names the keys in the present transaction.
    private func naming(_ keys: String..., mode: String) -> String {
      let literals = keys.map { "'\($0)'" }
      if mode == "notify" { return "SELECT cdcd.invalidate(\(literals.joined(separator: ", ")));" }
      let lines = literals.map { "'key ' || \($0)" }.joined(separator: " || E'\\n' || ")
      return "SELECT pg_logical_emit_message(true, 'cdcd', \(lines));"
    }

    @Test("a key goes with the commit that names it, alone or among rows", arguments: Installation.modes)
    func committed(mode: String) throws {
      let installation = try installation(mode: mode)
      let keys = ["note:1", "größe {2}\"\\", "user:1", "user:7", "note:3"]
      #expect(
        try installation.keysGone(of: keys, after: naming("note:1", mode: mode)) == ["note:1"])
      // What another rule derives may be named too.
      #expect(
        try installation.keysGone(
          of: keys,
          after: "BEGIN; INSERT INTO users VALUES (1);" + naming("größe {2}\"\\", "user:7", mode: mode)
            + "UPDATE users SET name = 'x'; COMMIT")
          == ["größe {2}\"\\", "user:1", "user:7"])
      let metrics = try installation.cdcd.get("/metrics").body
      #expect(metrics.contains("cdcd_keys_deleted_total{rule=\"messages\"} 3\n"), "\(metrics)")
      #expect(try installation.gaps("malformed_message") == 0)
    }

    @Test("what is rolled back, whole or to a savepoint, names nothing", arguments: Installation.modes)
    func rolledBack(mode: String) throws {
      let installation = try installation(mode: mode)
      let keys = ["note:1", "note:2", "note:3"]
      #expect(
        try installation.keysGone(
          of: keys, after: "BEGIN;" + naming("note:1", mode: mode) + "INSERT INTO users VALUES (1); ROLLBACK")
          == [])
      #expect(
        try installation.keysGone(
          of: keys,
          after: "BEGIN; SAVEPOINT a;" + naming("note:1", "note:2", mode: mode) + "ROLLBACK TO a;"
            + naming("note:3", mode: mode) + "COMMIT") == ["note:3"])
    }

    @Test("a key waits for the commit of a prepared transaction", arguments: Installation.modes)
    func prepared(mode: String) throws {
      let installation = try installation(mode: mode) {
        $0.postgresSettings = ["max_prepared_transactions=5"]
        $0.wakeup = "poll"
      }
      let keys = ["note:1", "note:2", "user:1"]
      let session = try installation.postgres.session()
      let message = naming("note:1", mode: mode)
      try session.rows("BEGIN; INSERT INTO users VALUES (1);" + message + "PREPARE TRANSACTION 'two'")
      #expect(try installation.keysGone(of: keys, after: "INSERT INTO users VALUES (9)") == [])
      #expect(try installation.keysGone(of: keys, after: "COMMIT PREPARED 'two'") == ["note:1", "user:1"])
      try session.rows("BEGIN;" + message + "PREPARE TRANSACTION 'three'")
      #expect(try installation.keysGone(of: keys, after: "ROLLBACK PREPARED 'three'") == [])
    }

    @Test(
      "what cannot be taken flushes the pattern of messages and no other, and is told with the remedy",
      arguments: Installation.streamingModes,
      [
        ("true, 'cdcd', E'key user:7\\npattern user:*'", "write `key user:42`", ["user:7"]),
        ("false, 'cdcd', 'key user:7'", "pg_logical_emit_message(true, 'cdcd', ...)", []),
        ("true, 'cdcd', 'key cdcd:wm:1:cdcd'", "cache nothing there", []),
        ("true, 'cdcd', 'key '", "a key is empty", []),
        ("true, 'cdcd', repeat(E'key user:7\n', 200000)", "name keys in several messages", []),
      ])
    func refused(mode: String, message: (arguments: String, remedy: String, named: [String])) throws {
      let installation = try installation(mode: mode)
      let keys = ["note:1", "user:7", "user:8"]
      #expect(
        try installation.keysGone(
          of: keys,
          after: "SELECT pg_logical_emit_message(\(message.arguments)); INSERT INTO users VALUES (1)")
          == ["note:1"] + message.named)
      #expect(try installation.gaps("malformed_message") == 1)
      try installation.expectLog(message.remedy)
      try installation.cdcd.waitUntilReady()
    }

    @Test("cdcd.invalidate: NULL is no key, and a key of cdcd's own, or an empty one, flushes the pattern")
    func refusedByTheOutbox() throws {
      let installation = try installation(mode: "notify")
      let keys = ["note:1", "note:2", "user:7", "user:8"]
      func invalidate(_ arguments: String) throws -> [String] {
        try installation.keysGone(of: keys, after: "SELECT cdcd.invalidate(\(arguments))")
      }
      #expect(try invalidate("NULL, 'note:1'") == ["note:1"])
      #expect(try invalidate("NULL") == [])
      #expect(try installation.gaps("malformed_message") == 0)
      #expect(try invalidate("'user:7', ''") == ["note:1", "note:2", "user:7"])
      #expect(try installation.gaps("malformed_message") == 1)
      try installation.expectLog("a key is empty")
      #expect(try invalidate("'cdcd:wm:1:cdcd'") == ["note:1", "note:2"])
      #expect(
        try invalidate("VARIADIC ARRAY(SELECT 'user:' || n FROM generate_series(1, 1200) n)")
          == ["user:7", "user:8"])
    }

    @Test(
      "without a rule that takes them, messages are told and flush nothing", arguments: Installation.modes)
    func withoutRule(mode: String) throws {
      let installation = try installation(mode: mode) { $0.rules = ExampleTables.rules }
      #expect(
        try installation.keysGone(of: ["note:1"], after: naming("note:1", "user:7", mode: mode)) == [])
      try installation.expectLog("add `- messages: true` to the rules")
      #expect(try installation.gaps("malformed_message") == 0)
      let metrics = try installation.cdcd.get("/metrics").body
      #expect(metrics.contains("cdcd_malformed_messages_total 1\n"), "\(metrics)")
    }

    @Test("a gap flushes what messages may have named", arguments: Installation.modes)
    func gap(mode: String) throws {
      let installation = try installation(mode: mode)
      let redis = try installation.redis.client()
      try installation.stopCDCD()
      for key in ["note:1", "other:1"] { try redis("SET", key, "cached") }
      guard case .array(let watermarks) = try redis("KEYS", "cdcd:wm:*") else { return }
      for watermark in watermarks { try redis("DEL", watermark.text ?? "") }
      try installation.startCDCD().waitUntilReady()
      try installation.expectSettled()
      #expect(try !redis.exists("note:1"))
      #expect(try redis.exists("other:1"))
    }

    @Test("messages alone: setup, check and run without a table", arguments: Installation.modes)
    func alone(mode: String) throws {
      let installation = try installation(mode: mode) {
        $0.rules = "  - {messages: true, pattern: \"note:*\"}"
      }
      #expect(
        try installation.keysGone(
          of: ["note:1", "user:1"], after: "INSERT INTO users VALUES (1);" + naming("note:1", mode: mode))
          == ["note:1"])
      let check = try installation.command("check")
      #expect(check.status == 0, "\(check.output)")
    }
  }
}
