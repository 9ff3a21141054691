import Testing

extension RealServers {
  @Suite struct Teardown {
    /// What of cdcd's is in the database, and what stands on the tables.
    private static let everything = """
      SELECT 'slot' FROM pg_replication_slots UNION ALL SELECT 'publication' FROM pg_publication
      UNION ALL SELECT evtname FROM pg_event_trigger
      UNION ALL SELECT nspname FROM pg_namespace WHERE nspname = 'cdcd'
      UNION ALL SELECT tgname FROM pg_trigger WHERE NOT tgisinternal
      """

    @Test(
      "teardown takes away what setup has made, and nothing while cdcd runs", arguments: Installation.modes)
    func leavesNothing(mode: String) throws {
      let installation = try Installation(mode: mode)
      #expect(try installation.command("setup").output == "Nothing is missing.\n")
      let busy = try installation.command("teardown")
      #expect(busy.status == 1 && busy.output.contains("Stop cdcd first."), "\(busy.output)")
      #expect(try installation.cdcd.isReady)
      try installation.stopCDCD()
      let planned = try installation.command("teardown", "--dry-run")
      let session = try installation.postgres.session()
      #expect(try !session.rows(Self.everything).isEmpty)
      let done = try installation.command("teardown")
      #expect(done.status == 0 && done.output == planned.output + "Done.\n", "\(done.output)")
      let left = try session.rows(Self.everything)
      #expect(left.isEmpty, "\(left)")
      try session.rows("INSERT INTO users VALUES (1)")
      #expect(try installation.command("teardown").output == "Nothing is left.\n")
    }

    @Test("a role that may not use the schema plans for one that may", arguments: Installation.modes)
    func plannedForAnother(mode: String) throws {
      let installation = try Installation(mode: mode)
      try installation.stopCDCD()
      try installation.postgres.query("CREATE ROLE stranger LOGIN REPLICATION")
      installation.setSource("postgresql://stranger@127.0.0.1:\(installation.postgres.port)/postgres")
      let planned = try installation.command("teardown", "--dry-run")
      #expect(planned.status == 0, "\(planned.output)")
      let statement =
        mode == "notify" ? "DROP TABLE cdcd.outbox" : "SELECT pg_drop_replication_slot('cdcd');"
      #expect(planned.output.contains(statement), "\(planned.output)")
    }

    @Test("the event triggers stay while another cdcd may need them", arguments: Installation.modes)
    func anotherInTheDatabase(mode: String) throws {
      let installation = try Installation(mode: mode)
      try installation.stopCDCD()
      let session = try installation.postgres.session()
      try session.rows(
        mode == "pgoutput"
          ? "CREATE SCHEMA IF NOT EXISTS cdcd; CREATE TABLE cdcd.outbox ()"
          : "SELECT pg_create_logical_replication_slot('other', 'test_decoding');"
            + " SELECT pg_create_logical_replication_slot('theirs', 'pgoutput')")
      let triggers = "SELECT count(*) FROM pg_event_trigger WHERE evtname LIKE 'cdcd%'"
      let first = try installation.command("teardown")
      #expect(first.status == 0 && first.output.hasSuffix("Done.\n"), "\(first.output)")
      let reason =
        mode == "pgoutput" ? "the outbox may be another cdcd's" : "the slot theirs may be another cdcd's"
      #expect(first.output.contains(reason), "\(first.output)")
      #expect(try session.rows(triggers) == [["4"]])
      try session.rows(
        mode == "pgoutput" ? "DROP TABLE cdcd.outbox" : "SELECT pg_drop_replication_slot('theirs')")
      #expect(try installation.command("teardown").status == 0)
      #expect(try session.rows(triggers) == [["0"]])
    }

    @Test("what is there again is a gap: the rules are flushed", arguments: Installation.modes)
    func setupAgain(mode: String) throws {
      let installation = try Installation(mode: mode)
      try installation.expectSettled()
      try installation.stopCDCD()
      #expect(try installation.command("teardown").status == 0)
      try installation.postgres.query("INSERT INTO users VALUES (1)")
      try installation.redis.client()("SET", "user:1", "absent")
      try installation.setUp()
      try installation.startCDCD().waitUntilReady()
      try installation.expectSettled()
      #expect(try !installation.redis.client().exists("user:1"))
    }
  }
}
