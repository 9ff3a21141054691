import Foundation
import Testing

extension RealServers {
  /// Tables whose changes come incompletely, or not at all, although everything was right at the start.
  @Suite struct BlindSpots {
    /// With `viaRoot` the publication sends changes of partitions under their root's name.
    private func installation(_ mode: String = "pgoutput", viaRoot: Bool = false) throws -> Installation {
      var options = Installation.Options()
      options.mode = mode
      options.schema += """
        CREATE TABLE events (id int, mail text) PARTITION BY RANGE (id);
        CREATE TABLE events_1 PARTITION OF events FOR VALUES FROM (0) TO (100);
        ALTER TABLE events REPLICA IDENTITY FULL;
        ALTER TABLE events_1 REPLICA IDENTITY FULL;
        """
      options.rules += "\n  - {table: events, keys: ['event:{mail}']}"
      let installation = try Installation(options, start: false)
      try installation.setUp()
      if viaRoot {
        try installation.postgres.query("ALTER PUBLICATION cdcd SET (publish_via_partition_root = true)")
      }
      try installation.startCDCD().waitUntilReady()
      return installation
    }

    @Test(
      "a partition made later does not inherit REPLICA IDENTITY FULL: an update that lacks the old row is flushed"
    )
    func partitionWithoutIdentity() throws {
      let installation = try installation(viaRoot: true)
      let redis = try installation.redis.client()
      try installation.postgres.query(
        """
        CREATE TABLE events_2 PARTITION OF events FOR VALUES FROM (100) TO (200);
        ALTER TABLE events_2 ADD PRIMARY KEY (id);
        INSERT INTO events VALUES (150, 'a')
        """)
      try installation.expectSettled()
      for key in ["event:a", "user:1"] { try redis("SET", key, "cached") }
      try installation.postgres.query("UPDATE events SET mail = 'b' WHERE id = 150")
      try installation.expectSettled()
      #expect(try !redis.exists("event:a"))
      #expect(try redis.exists("user:1"))
      #expect(
        try installation.cdcd.process.output.contains(
          "partitions without REPLICA IDENTITY FULL, which they do not inherit"))
    }

    @Test(
      "what such a partition deletes, and moves of its primary key, flush as well, until it is mended",
      arguments: [("pgoutput", false), ("pgoutput", true), ("wal2json", false)].filter {
        Installation.modes.contains($0.0)
      })
    func deletesOfPartitionWithoutIdentity(mode: String, viaRoot: Bool) throws {
      let installation = try installation(mode, viaRoot: viaRoot)
      let redis = try installation.redis.client()
      try installation.postgres.query(
        """
        CREATE TABLE events_2 PARTITION OF events FOR VALUES FROM (100) TO (200);
        ALTER TABLE events_2 ADD PRIMARY KEY (id);
        INSERT INTO events VALUES (150, 'a'), (151, 'b'), (1, 'c')
        """)
      try eventually(within: .seconds(10), "cdcd is not ready") {
        let response = try installation.cdcd.get("/readyz")
        return response.status == 503
          && response.body.contains("ALTER TABLE public.events_2 REPLICA IDENTITY FULL")
      }
      for (statement, key) in [
        ("DELETE FROM events WHERE id = 150", "event:a"),
        ("UPDATE events SET id = 152, mail = 'd' WHERE id = 151", "event:b"),
      ] {
        for key in [key, "user:1"] { try redis("SET", key, "cached") }
        try installation.postgres.query(statement)
        try installation.expectSettled()
        #expect(try !redis.exists(key))
        #expect(try redis.exists("user:1"))
      }
      try installation.postgres.query("ALTER TABLE events_2 REPLICA IDENTITY FULL")
      try installation.cdcd.waitUntilReady()
      try redis("SET", "event:other", "cached")
      try installation.postgres.query("DELETE FROM events WHERE id = 1")
      try installation.expectSettled()
      #expect(try redis.exists("event:other"))
    }

    @Test("after DDL /wait answers only when the catalogue was looked at: a swapped table is never claimed")
    func swapIsNeverClaimed() throws {
      let installation = try installation()
      try installation.postgres.query(
        """
        CREATE TABLE users_new (LIKE users INCLUDING ALL);
        BEGIN; ALTER TABLE users RENAME TO users_old; ALTER TABLE users_new RENAME TO users; COMMIT;
        INSERT INTO users VALUES (1, NULL, 'nobody streams this')
        """)
      let position = try installation.postgres.insertPosition()
      #expect(try !installation.cdcd.settles(position, within: .seconds(3)))
    }

    @Test(
      "an unlogged partition is not streamed: not ready, and flushed once it is logged",
      arguments: Installation.streamingModes,
      [
        ("CREATE UNLOGGED TABLE events_2", "events_2"),
        ("CREATE SCHEMA more CREATE UNLOGGED TABLE events_2", "more.events_2"),
      ])
    func unloggedPartition(mode: String, partition: (creation: String, name: String)) throws {
      let (creation, name) = partition
      let installation = try installation(mode)
      let redis = try installation.redis.client()
      try installation.postgres.query("\(creation) PARTITION OF public.events FOR VALUES FROM (100) TO (200)")
      try installation.expectNotReady(because: "SET LOGGED")
      try installation.postgres.query("INSERT INTO events VALUES (101, 'a')")
      try redis("SET", "event:a", "absent")
      try installation.postgres.query("ALTER TABLE \(name) SET LOGGED, REPLICA IDENTITY FULL")
      try installation.cdcd.waitUntilReady()
      try installation.expectSettled()
      #expect(try !redis.exists("event:a"))
    }

    @Test("a table that takes a ruled one's name is noticed at once, and flushed when it is published")
    func swappedTable() throws {
      let installation = try installation()
      let redis = try installation.redis.client()
      try installation.postgres.query(
        "CREATE TABLE users_new (LIKE users INCLUDING ALL); ALTER TABLE users_new REPLICA IDENTITY FULL")
      try installation.postgres.query(
        "BEGIN; ALTER TABLE users RENAME TO users_old; ALTER TABLE users_new RENAME TO users; COMMIT")
      try eventually(within: .seconds(10), "cdcd is not ready") {
        let response = try installation.cdcd.get("/readyz")
        return response.status == 503 && response.body.contains("does not carry every change of public.users")
      }
      try installation.postgres.query("INSERT INTO users VALUES (1, NULL, 'nobody streams this')")
      try redis("SET", "user:1", "absent")
      try installation.setUp()
      try installation.cdcd.waitUntilReady()
      try installation.expectSettled()
      #expect(try !redis.exists("user:1"))
    }
  }
}
