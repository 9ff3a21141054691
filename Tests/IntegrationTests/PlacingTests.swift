import Foundation
import Testing

extension RealServers {
  /// Whose rules a table concerns can change at any moment, and the catalogue tells of now, not of then.
  @Suite struct Placing {
    private func installation(triggers: Bool = true) throws -> Installation {
      var options = Installation.Options()
      options.schema += """
        CREATE TABLE events (id int, mail text, PRIMARY KEY (id)) PARTITION BY RANGE (id);
        CREATE TABLE events_1 PARTITION OF events FOR VALUES FROM (0) TO (100);
        CREATE TABLE events_2 PARTITION OF events FOR VALUES FROM (100) TO (200);
        CREATE TABLE archive (id int PRIMARY KEY, mail text);
        ALTER TABLE events_1 REPLICA IDENTITY FULL; ALTER TABLE events_2 REPLICA IDENTITY FULL;
        ALTER TABLE archive REPLICA IDENTITY FULL;
        INSERT INTO events VALUES (1, 'a'), (2, 'b'), (101, 'c'); INSERT INTO archive VALUES (301, 'z');
        """
      options.rules +=
        "\n  - {table: events, keys: ['event:{mail}']}\n  - {table: archive, keys: ['old:{mail}']}"
      let installation = try Installation(options, start: false)
      try installation.setUp()
      if !triggers { try installation.dropEventTriggers() }
      try installation.startCDCD().waitUntilReady()
      return installation
    }

    @Test(
      "a table that was renamed, or its schema, changed meanwhile, and is named back, is followed again",
      arguments: [
        ("ALTER TABLE events RENAME TO x", "ALTER TABLE x RENAME TO events"),
        ("ALTER TABLE events SET SCHEMA other", "ALTER TABLE other.events SET SCHEMA public"),
        ("ALTER SCHEMA public RENAME TO x", "ALTER SCHEMA x RENAME TO public"),
      ])
    func renamedAndBack(away: String, back: String) throws {
      let installation = try installation()
      let session = try installation.postgres.session()
      try session.rows("CREATE SCHEMA other; INSERT INTO users VALUES (1)")
      try session.rows("UPDATE events SET mail = 'A' WHERE id = 1")
      try installation.expectSettled()
      try session.rows(away)
      let schema = away.contains("SCHEMA public") ? "x" : "public"
      try session.rows("UPDATE \(schema).events_1 SET mail = 'B' WHERE id = 1")
      try session.rows("UPDATE \(schema).users SET name = 'b'")
      try eventually("cdcd has noticed") {
        try installation.cdcd.get("/readyz").body.contains("does not carry every change of")
      }
      try session.rows(back)
      try installation.cdcd.waitUntilReady(within: .seconds(30))
      // Its first change may find out that it was away; the next one is as any.
      for mail in ["C", "D"] {
        let old = try installation.postgres.value("SELECT mail FROM events WHERE id = 1")
        for (key, statement) in [
          ("event:" + old, "UPDATE events SET mail = '\(mail)' WHERE id = 1"),
          ("user:1", "UPDATE users SET name = '\(mail)'"),
        ] {
          let gone = try installation.keysGone(of: [key, "event:other", "user:2"], after: statement)
          #expect(mail == "C" ? gone.contains(key) : gone == [key], "\(statement)")
        }
      }
    }

    @Test("what a partition told before it was detached counts, although nobody knows any more whose it was")
    func departed() throws {
      let installation = try installation(triggers: false)
      #expect(
        try installation.keysGone(
          of: ["event:c", "user:1"],
          afterWhileDown: [
            "UPDATE events SET mail = 'x' WHERE id = 101", "ALTER TABLE events DETACH PARTITION events_2",
          ]) == ["event:c"])
    }

    @Test("a DETACH CONCURRENTLY that is cancelled on the way hides the rows: they are flushed")
    func pendingDetach() throws {
      let installation = try installation()
      let redis = try installation.redis.client()
      let reader = try installation.postgres.session()
      try reader.rows("BEGIN ISOLATION LEVEL REPEATABLE READ")
      try reader.rows("SELECT * FROM events")
      for key in ["event:a", "user:1"] { try redis("SET", key, "cached") }
      let session = try installation.postgres.session()
      try session.rows("SET statement_timeout = '500ms'")
      #expect(throws: (any Error).self) {
        try session.rows("ALTER TABLE events DETACH PARTITION events_1 CONCURRENTLY")
      }
      #expect(try installation.postgres.value("SELECT count(*) FROM events WHERE id < 100") == "0")
      try reader.rows("COMMIT")
      try installation.expectGone("event:a", within: .seconds(5))
      #expect(try redis.exists("user:1"))
    }

    @Test("a lock on one partition stops no look at the catalogue, and no rule")
    func lockedPartition() throws {
      let installation = try installation()
      let redis = try installation.redis.client()
      let session = try installation.postgres.session()
      try session.rows("BEGIN; LOCK TABLE events_2 IN ACCESS EXCLUSIVE MODE")
      for id in 1...3 {
        try redis("SET", "user:\(id)", "cached")
        try installation.postgres.query(
          "ALTER TABLE unruled ADD c\(id) int; INSERT INTO users VALUES (\(id))")
        let duration = try elapsed { try installation.expectGone("user:\(id)") }
        #expect(duration < .seconds(3))
        Thread.sleep(forTimeInterval: 1.2)
      }
    }

    @Test(
      "a ruled table that becomes a partition of another follows the rules of both", Installation.streamOnly)
    func ruledPartition() throws {
      let installation = try installation()
      try installation.postgres.query(
        "ALTER TABLE events ATTACH PARTITION archive FOR VALUES FROM (300) TO (400)")
      let gone = try installation.keysGone(
        of: ["event:z", "old:z", "event:other"], after: "UPDATE events SET mail = 'y' WHERE id = 301")
      #expect(gone == ["event:z", "old:z"])
      try installation.stopCDCD()
      try installation.startCDCD().waitUntilReady()
    }

    @Test(
      "a partition without its root's replica identity keeps no cdcd from starting", Installation.streamOnly)
    func barePartitionAtTheStart() throws {
      let installation = try installation()
      try installation.stopCDCD()
      try installation.postgres.query(
        "CREATE TABLE events_3 PARTITION OF events FOR VALUES FROM (200) TO (300)")
      try installation.startCDCD()
      try eventually("cdcd names the statement") {
        try installation.cdcd.get("/readyz").body.contains(
          "ALTER TABLE public.events_3 REPLICA IDENTITY FULL")
      }
      let redis = try installation.redis.client()
      try redis("SET", "user:1", "cached")
      try installation.postgres.query("INSERT INTO users VALUES (1)")
      try installation.expectGone("user:1")
    }
  }
}
