import Foundation
import Testing

extension RealServers {
  /// Rules name the root of a partitioned table; the stream names the partitions (postgres.md, "Row images").
  @Suite struct Partitions {
    private func installation(
      _ mode: String, rules: [String] = [#"{table: '"Ev.ents"', keys: ['event:{mail}']}"#],
      triggers: Bool = true
    ) throws -> Installation {
      var options = Installation.Options()
      options.mode = mode
      options.schema += """
        CREATE TABLE "Ev.ents" (id int, mail text, PRIMARY KEY (id)) PARTITION BY RANGE (id);
        CREATE TABLE events_1 PARTITION OF "Ev.ents" FOR VALUES FROM (0) TO (100);
        CREATE TABLE events_2 PARTITION OF "Ev.ents" FOR VALUES FROM (100) TO (300) PARTITION BY RANGE (id);
        CREATE TABLE events_2_1 (mail text, unused int, id int NOT NULL);
        ALTER TABLE events_2_1 DROP COLUMN unused;
        ALTER TABLE events_2 ATTACH PARTITION events_2_1 FOR VALUES FROM (100) TO (200);
        CREATE TABLE loner (id int NOT NULL, mail text);
        ALTER TABLE loner REPLICA IDENTITY FULL;
        ALTER TABLE events_1 REPLICA IDENTITY FULL;
        ALTER TABLE events_2_1 REPLICA IDENTITY FULL;
        INSERT INTO "Ev.ents" VALUES (1, 'a'), (2, 'b'), (101, 'c'), (102, 'd');
        """
      options.rules += rules.map { "\n  - " + $0 }.joined()
      let installation = try Installation(options, start: false)
      try installation.setUp()
      if !triggers { try installation.dropEventTriggers() }
      try installation.startCDCD().waitUntilReady()
      return installation
    }

    @Test("changes of every partition delete the root's keys, and only those", arguments: Installation.modes)
    func rows(mode: String) throws {
      let installation = try installation(mode)
      for (statement, gone) in [
        (#"INSERT INTO "Ev.ents" VALUES (3, 'e'), (103, 'f')"#, ["event:e", "event:f"]),
        (#"UPDATE "Ev.ents" SET mail = 'A' WHERE id = 1"#, ["event:a", "event:A"]),
        ("UPDATE events_2_1 SET mail = 'C' WHERE id = 101", ["event:c", "event:C"]),
        (#"UPDATE "Ev.ents" SET id = 104 WHERE id = 2"#, ["event:b"]),
        (#"DELETE FROM "Ev.ents" WHERE id IN (3, 102)"#, ["event:d", "event:e"]),
      ] {
        let keys = ["a", "b", "c", "d", "e", "f", "A", "C", "other"].map { "event:" + $0 }
        #expect(try installation.keysGone(of: keys, after: statement) == gone, "\(statement)")
      }
      let metrics = try installation.cdcd.get("/metrics").body
      // In the WAL a row that moves is deleted and inserted.
      let count = mode == "notify" ? 2 : 3
      #expect(
        metrics.contains(#"cdcd_changes_total{table="public.Ev.ents",op="insert"} \#(count)"#), "\(metrics)")
    }

    @Test(
      "an update that moves a row to another partition is an update, although it comes as a delete and an insert",
      arguments: Installation.modes)
    func movedRow(mode: String) throws {
      let installation = try installation(
        mode,
        rules: [
          #"{table: '"Ev.ents"', on: [update], keys: ['edit:{mail}']}"#
        ])
      #expect(
        try installation.keysGone(
          of: ["edit:b", "edit:c"], after: #"UPDATE "Ev.ents" SET id = 104 WHERE id = 2"#)
          == ["edit:b"])
    }

    @Test(
      "a ruled table that becomes a partition", arguments: [true, false], Installation.streamingModes)
    func attachedTable(isRootRuled: Bool, mode: String) throws {
      let rules = [
        isRootRuled ? #"{table: '"Ev.ents"', keys: ['event:{mail}']}"# : nil,
        "{table: loner, on: [update], keys: ['loner:{mail}']}",
      ]
      let installation = try installation(mode, rules: rules.compactMap { $0 })
      try installation.postgres.query(
        #"INSERT INTO loner VALUES (201, 'x'), (202, 'y'); ALTER TABLE events_2 ATTACH PARTITION loner FOR VALUES FROM (200) TO (300)"#
      )
      try installation.expectSettled()
      // A row leaves it by an update; another one changes with all of its root's.
      for (statement, gone) in [
        (#"UPDATE "Ev.ents" SET id = 3 WHERE id = 201"#, ["loner:x"]),
        (#"ALTER TABLE "Ev.ents" ALTER mail TYPE text USING mail || '!'"#, ["loner:x", "loner:y"]),
      ] {
        #expect(
          try installation.keysGone(of: ["loner:x", "loner:y", "user:1"], after: statement) == gone,
          "\(statement)")
      }
    }

    @Test("the outbox does not tell what becomes of a partition through its root, so a rule may not name one")
    func ruledPartition() throws {
      let installation = try installation("notify", rules: ["{table: loner, keys: ['loner:{mail}']}"])
      let redis = try installation.redis.client()
      try installation.postgres.query(
        "ALTER TABLE events_2 ATTACH PARTITION loner FOR VALUES FROM (200) TO (300)")
      try installation.expectNotReady(because: "every change of public.loner")
      try redis("SET", "loner:x", "absent")
      try installation.postgres.query(
        #"INSERT INTO "Ev.ents" VALUES (201, 'x'); ALTER TABLE events_2 DETACH PARTITION loner"#)
      try installation.cdcd.waitUntilReady()
      try installation.expectSettled()
      #expect(try !redis.exists("loner:x"))
    }

    @Test(
      "TRUNCATE of a single partition flushes the root's rules",
      arguments: ["events_1", "events_2", "events_2_1", "\"Ev.ents\""],
      Installation.modes)
    func truncate(partition: String, mode: String) throws {
      let installation = try installation(mode)
      #expect(
        try installation.keysGone(of: ["event:never cached", "user:1"], after: "TRUNCATE \(partition)")
          == ["event:never cached"])
    }

    @Test("a partition made while cdcd streams is a partition at once", arguments: Installation.modes)
    func newPartition(mode: String) throws {
      let installation = try installation(mode, triggers: false)
      let gone = try installation.keysGone(
        of: ["event:z", "event:other"],
        after: """
          CREATE TABLE events_3 PARTITION OF "Ev.ents" FOR VALUES FROM (300) TO (400);
          ALTER TABLE events_3 REPLICA IDENTITY FULL;
          INSERT INTO "Ev.ents" VALUES (301, 'z')
          """)
      #expect(gone == ["event:z"])
    }

    @Test(
      "a partition that was dropped before its changes were read: the root's rules are flushed",
      arguments: Installation.modes)
    func droppedPartition(mode: String) throws {
      let installation = try installation(mode, triggers: false)
      #expect(
        try installation.keysGone(
          of: ["event:c", "user:1"],
          afterWhileDown: ["UPDATE events_2_1 SET mail = 'x' WHERE id = 101; DROP TABLE events_2_1"])
          == ["event:c"])
    }

    @Test("without event triggers a detached partition is noticed by its next change")
    func detachedPartition() throws {
      let installation = try installation("pgoutput", triggers: false)
      #expect(
        try installation.keysGone(of: ["event:a"], after: "UPDATE events_1 SET mail = 'A' WHERE id = 1")
          == ["event:a"])
      try installation.postgres.query("ALTER PUBLICATION cdcd ADD TABLE events_1")
      try installation.postgres.query(#"ALTER TABLE "Ev.ents" DETACH PARTITION events_1"#)
      #expect(
        try installation.keysGone(of: ["event:b"], after: "UPDATE events_1 SET mail = 'z' WHERE id = 1")
          == ["event:b"])
    }

    @Test("the stream waits for the catalogue only as long as it must", arguments: Installation.modes)
    func catalogueAway(mode: String) throws {
      let installation = try installation(mode)
      // Placing a partition needs the query connection, which is cut again and again.
      for number in 0..<5 {
        try installation.postgres.query(
          """
          SELECT pg_terminate_backend(pid) FROM pg_stat_activity
          WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()
          """)
        #expect(
          try installation.keysGone(
            of: ["event:n\(number)"], after: #"INSERT INTO "Ev.ents" VALUES (\#(10 + number), 'n\#(number)')"#
          )
            == ["event:n\(number)"])
      }
    }
  }
}
