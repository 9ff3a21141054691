import Foundation
import Testing

extension RealServers {
  /// What is not published is not streamed: cdcd has to say so, and to make up for it.
  @Suite struct Publications {

    /// Rules on two tables, a stale value and a lease of the first, and a value of the second that has to stay.
    private func twoTables() throws -> Installation {
      let installation = try Installation(mode: "pgoutput")
      try installation.postgres.query("INSERT INTO users VALUES (1); INSERT INTO order_items VALUES (1, 1)")
      try installation.expectSettled()
      let redis = try installation.redis.client()
      for key in ["user:1", "order:{1}:item:1", Lease.key(for: "user:1")] { try redis("SET", key, "cached") }
      return installation
    }

    /// The changes that were left out are made up for, and nothing else is.
    private func expectFlushOfUsers(_ installation: Installation, for reason: String = "publication_changed")
      throws
    {
      try eventually("the gap is counted") {
        try installation.cdcd.get("/metrics").body.contains("cdcd_gaps_total{reason=\"\(reason)\"} 1\n")
      }
      try installation.cdcd.waitUntilReady()
      let redis = try installation.redis.client()
      #expect(try !redis.exists("user:1"))
      #expect(try !redis.exists(Lease.key(for: "user:1")))
      #expect(try redis.exists("order:{1}:item:1"), "its table was published all the time")
      #expect(try installation.keysGone(of: ["user:1"], after: "DELETE FROM users") == ["user:1"])
    }

    private func stop(_ installation: Installation) throws {
      let process = try installation.cdcd.process
      process.signal(SIGTERM)
      #expect(try process.waitForExit(within: .seconds(10)) == 0)
    }

    /// What takes a table out of the stream and puts it back, with a change between.
    static let absences = [
      "ALTER PUBLICATION cdcd DROP TABLE users; UPDATE users SET name = 'x'; ALTER PUBLICATION cdcd ADD TABLE users",
      "ALTER TABLE users RENAME TO away; UPDATE away SET name = 'x'; ALTER TABLE away RENAME TO users",
      """
      CREATE SCHEMA away; ALTER TABLE users SET SCHEMA away; UPDATE away.users SET name = 'x';
      ALTER TABLE away.users SET SCHEMA public
      """,
      """
      DROP TABLE users; CREATE TABLE users (id bigint PRIMARY KEY, email text, name text);
      ALTER TABLE users REPLICA IDENTITY FULL; INSERT INTO users VALUES (1, NULL, 'x');
      ALTER PUBLICATION cdcd ADD TABLE users
      """,
    ]

    @Test("a table that is taken out of the publication and put back while cdcd is down", arguments: absences)
    func putBackWhileDown(sql: String) throws {
      let installation = try twoTables()
      try stop(installation)
      let session = try installation.postgres.session()
      for statement in sql.split(separator: ";") { try session.rows(String(statement)) }
      try installation.startCDCD()
      try expectFlushOfUsers(installation)
    }

    @Test("a table that is taken out of the publication and put back between two looks of a running cdcd")
    func putBackWhileRunning() throws {
      let installation = try twoTables()
      let session = try installation.postgres.session()
      // With it the stream tells.
      try session.rows("DROP EVENT TRIGGER cdcd_altered")
      for statement in Self.absences[0].split(separator: ";") { try session.rows(String(statement)) }
      try installation.expectSettled()
      #expect(try installation.redis.client().exists("user:1"), "nothing in the stream tells of it")
      // The look comes once a minute, and whenever the query connection is lost.
      try session.rows(
        """
        SELECT pg_terminate_backend(pid) FROM pg_stat_activity
        WHERE application_name = 'cdcd' AND backend_type = 'client backend'
        """)
      try expectFlushOfUsers(installation)
    }

    @Test("the publication made anew while cdcd is down: every rule is flushed, once")
    func publicationMadeAnew() throws {
      let installation = try twoTables()
      try stop(installation)
      let session = try installation.postgres.session()
      let tables = try session.value(
        "SELECT string_agg(prrelid::regclass::text, ', ') FROM pg_publication_rel")
      try session.rows("DROP PUBLICATION cdcd")
      try session.rows("CREATE PUBLICATION cdcd FOR TABLE \(tables)")
      try installation.startCDCD().waitUntilReady()
      let redis = try installation.redis.client()
      for key in ["user:1", "order:{1}:item:1"] { #expect(try !redis.exists(key), "\(key)") }
      try redis("SET", "user:1", "kept")
      try stop(installation)
      try installation.startCDCD().waitUntilReady()
      #expect(try redis.exists("user:1"), "the new publication is known by now")
    }

    @Test("maintenance, grants and other tables of the publication are no gap")
    func falseAlarms() throws {
      let installation = try twoTables()
      let maintenance = """
        VACUUM FULL users; ANALYZE users; CLUSTER users USING users_pkey; REINDEX TABLE users;
        VACUUM FREEZE pg_publication_rel; VACUUM FULL pg_publication; VACUUM FULL pg_publication_rel;
        VACUUM FULL pg_type; VACUUM FULL pg_class; GRANT SELECT ON users TO public; CREATE INDEX ON users (name);
        CREATE TABLE heir () INHERITS (users); CREATE VIEW seen AS SELECT * FROM users;
        COMMENT ON TABLE users IS 'people'; ALTER PUBLICATION cdcd ADD TABLE unruled
        """
      let session = try installation.postgres.session()
      for statement in maintenance.split(separator: ";") { try session.rows(String(statement)) }
      try session.rows("ALTER PUBLICATION cdcd DROP TABLE unruled")
      try stop(installation)
      try installation.startCDCD().waitUntilReady()
      try installation.expectSettled()
      #expect(try installation.cdcd.metric("cdcd_gaps_total") ?? 0 == 0)
      #expect(try installation.redis.client().exists("user:1"))
    }

    @Test("a rule added or changed between two runs: its keys are flushed, and no others")
    func rulesChanged() throws {
      let installation = try twoTables()
      let redis = try installation.redis.client()
      try redis("SET", "person:1", "cached before there was a rule")
      try stop(installation)
      installation.setRules(
        ExampleTables.rules + "\n  - {name: people, table: public.users, keys: ['person:{id}']}")
      try installation.startCDCD().waitUntilReady()
      #expect(try !redis.exists("person:1"))
      #expect(try redis.exists("user:1") && redis.exists("order:{1}:item:1"))
      #expect(
        try installation.cdcd.get("/metrics").body.contains("cdcd_gaps_total{reason=\"rules_changed\"} 1\n"))
    }

    @Test("a ruled table that is not published keeps cdcd from being ready, and is flushed once it is")
    func unpublishedTable() throws {
      let installation = try twoTables()
      try stop(installation)
      try installation.postgres.query("ALTER PUBLICATION cdcd DROP TABLE users")
      let second = try installation.startCDCD()
      try eventually("cdcd names the publication") {
        let answer = try second.get("/readyz")
        return answer.status == 503 && answer.body.contains("does not carry every change of public.users")
      }
      try installation.postgres.query("UPDATE users SET name = 'left out'")
      // What was noticed is not forgotten by a kill.
      second.process.signal(SIGKILL)
      _ = try second.process.waitForExit()
      try installation.setUp()
      try installation.startCDCD()
      try expectFlushOfUsers(installation, for: "flush_interrupted")
    }

    @Test(
      "a publication that leaves out a kind of change is refused, and every rule is flushed once it does not")
    func missingOperation() throws {
      let installation = try twoTables()
      try stop(installation)
      try installation.postgres.query("ALTER PUBLICATION cdcd SET (publish = 'insert')")
      let cdcd = try installation.startCDCD()
      try eventually("cdcd names what is missing") {
        let answer = try cdcd.get("/readyz")
        return answer.status == 503 && answer.body.contains("leaves out kinds of changes")
      }
      try installation.postgres.query(
        "ALTER PUBLICATION cdcd SET (publish = 'insert, update, delete, truncate')")
      try cdcd.waitUntilReady(within: .seconds(30))
      let redis = try installation.redis.client()
      for key in ["user:1", "order:{1}:item:1"] { #expect(try !redis.exists(key), "\(key)") }
    }
  }
}
