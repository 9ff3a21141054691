import Foundation

/// A PostgreSQL server with some tables, and the commands of cdcd on it with rules of the test's own.
final class SetupServer {
  let folder: TemporaryFolder
  let postgres: PostgresServer

  init(_ schema: String = "", settings: [String] = []) throws {
    folder = try TemporaryFolder()
    postgres = try PostgresServer(in: folder, settings: settings)
    try postgres.start()
    if !schema.isEmpty { try postgres.query(schema) }
  }

  /// Runs `cdcd` with these words to its end. `rules` is the list of the file, in flow style.
  func cdcd(
    _ words: String..., rules: String, user: String = "postgres", database: String = "postgres"
  ) throws -> CommandResult {
    let url = "postgresql://\(user)@127.0.0.1:\(postgres.port)/\(database)"
    let path = try folder.write(
      """
      source: {postgres: '\(url)'}
      redis: {url: 'redis://127.0.0.1:1'}
      http: {listen: '127.0.0.1:\(try LoopbackConnection.freePort())'}
      rules: \(rules)
      """, to: "setup.yaml")
    return try CommandResult.of([CDCDProcess.binary] + words + ["--config", path], in: folder)
  }

  /// Tables of the publication, its options, and the plugin of the slot; empty when there is none.
  func installed() throws -> [String] {
    let rows = try postgres.query(
      """
      SELECT 'table ' || prrelid::regclass FROM pg_publication_rel
      UNION ALL SELECT 'publication ' || concat_ws(' ', pubname, pubinsert, pubupdate, pubdelete, pubtruncate, pubviaroot)
        FROM pg_publication
      UNION ALL SELECT concat_ws(' ', 'slot', slot_name, plugin, database) FROM pg_replication_slots
      ORDER BY 1
      """)
    return rows.compactMap { $0[0] }
  }
}
