import Testing

extension RealServers {
  /// What is so with wal2json alone.
  @Suite(.enabled(if: PostgresServer.hasWal2json, "there is no wal2json for this PostgreSQL"))
  struct Wal2json {
    private func installation(start: Bool = true) throws -> Installation {
      var options = Installation.Options()
      options.mode = "wal2json"
      return try Installation(options, start: start)
    }

    @Test(
      "updates and deletes that the plugin leaves out: not ready, and flushed once the table has an identity")
    func tableWithoutIdentity() throws {
      let installation = try installation()
      let redis = try installation.redis.client()
      try installation.postgres.query(
        "INSERT INTO users VALUES (1, NULL, 'ada'); ALTER TABLE users REPLICA IDENTITY NOTHING")
      try eventually(within: .seconds(10), "cdcd is not ready") {
        let response = try installation.cdcd.get("/readyz")
        return response.status == 503 && response.body.contains("does not carry every change of public.users")
      }
      for key in ["user:1", "document:1"] { try redis("SET", key, "cached") }
      try installation.postgres.query("UPDATE users SET name = 'x' WHERE id = 1")
      try installation.postgres.query("ALTER TABLE users REPLICA IDENTITY FULL")
      try installation.cdcd.waitUntilReady(within: .seconds(90))
      try installation.expectSettled()
      #expect(try !redis.exists("user:1"))
      #expect(try redis.exists("document:1"))
    }

    @Test(
      "a table that takes a ruled one's name is streamed at once, and what was cached of the other one goes")
    func swappedTable() throws {
      let installation = try installation()
      let redis = try installation.redis.client()
      try installation.postgres.query(
        "CREATE TABLE users_new (LIKE users INCLUDING ALL); ALTER TABLE users_new REPLICA IDENTITY FULL")
      for key in ["user:1", "user:2", "document:1"] { try redis("SET", key, "cached") }
      try installation.postgres.query(
        """
        BEGIN; ALTER TABLE users RENAME TO users_old; ALTER TABLE users_new RENAME TO users; COMMIT;
        INSERT INTO users VALUES (1)
        """)
      try installation.expectSettled()
      #expect(try !redis.exists("user:1") && !redis.exists("user:2"))
      #expect(try redis.exists("document:1"))
    }

    @Test("a server without the plugin: setup and run say what to install")
    func missingPlugin() throws {
      let installation = try installation(start: false)
      try installation.postgres.query("ALTER DATABASE postgres SET dynamic_library_path = '/nowhere'")
      let output = try installation.command("setup")
      #expect(output.status != 0)
      #expect(output.output.contains("postgresql-NN-wal2json"), "\(output.output)")
    }
  }
}
