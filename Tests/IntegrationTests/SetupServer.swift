import Foundation

/// A PostgreSQL server with some tables, a Redis, and the commands of cdcd on them with rules of the test's own.
final class SetupServer {
  let folder: TemporaryFolder
  let postgres: PostgresServer
  let redis: RedisServer

  /// Both servers have nothing that `cdcd check` would warn of.
  init(
    _ schema: String = "", settings: [String] = [],
    redisOptions: [String] = ["--save", "", "--appendonly", "no"]
  ) throws {
    folder = try TemporaryFolder()
    postgres = try PostgresServer(in: folder, settings: settings)
    redis = try RedisServer(in: folder, options: redisOptions)
    try postgres.start()
    try redis.start()
    try set("max_slot_wal_keep_size = '1GB'")
    if !schema.isEmpty { try postgres.query(schema) }
  }

  /// Changes a setting of PostgreSQL that needs no restart.
  func set(_ setting: String) throws {
    try postgres.query("ALTER SYSTEM SET \(setting)")
    let before = try postgres.value("SELECT pg_conf_load_time()")
    try postgres.query("SELECT pg_reload_conf()")
    try eventually("the server has read its configuration") {
      try postgres.value("SELECT pg_conf_load_time()") != before
    }
  }

  /// Runs `cdcd` with these words to its end. `rules` is the list of the file, in flow style, `source` and
  /// `redisEntries` more entries of these sections, and `options` more lines of the file.
  func cdcd(
    _ words: String..., rules: String, user: String = "postgres", database: String = "postgres",
    port: Int? = nil, source: String = "", redis url: String? = nil,
    redisEntries: String = "", options: String = ""
  ) throws -> CommandResult {
    let path = try configuration(
      rules: rules, postgres: "\(user)@127.0.0.1:\(port ?? postgres.port)/\(database)", source: source,
      redis: "'\(url ?? redis.url)', \(redisEntries)", options: options,
      httpPort: try LoopbackConnection.freePort())
    return try CommandResult.of([CDCDProcess.binary] + words + ["--config", path], in: folder)
  }

  /// Starts a command of cdcd; does not wait until it ends.
  func start(_ words: String..., rules: String, redisEntries: String = "") throws -> ServerProcess {
    let path = try configuration(
      rules: rules, postgres: "postgres@127.0.0.1:\(postgres.port)/postgres", source: "",
      redis: "'\(redis.url)', \(redisEntries)", options: "", httpPort: try LoopbackConnection.freePort())
    return try ServerProcess(
      [CDCDProcess.binary] + words + ["--config", path],
      log: folder.file("command-\(UUID().uuidString.prefix(8)).log"))
  }

  /// Starts the daemon; does not wait until it is ready.
  func run(rules: String, port: Int? = nil, redis url: String? = nil) throws -> CDCDProcess {
    let httpPort = try LoopbackConnection.freePort()
    let path = try configuration(
      rules: rules, postgres: "postgres@127.0.0.1:\(port ?? postgres.port)/postgres", source: "",
      redis: "'\(url ?? redis.url)'",
      options: "", httpPort: httpPort)
    return try CDCDProcess([], configuration: path, httpPort: httpPort, log: folder.file("cdcd.log"))
  }

  private func configuration(
    rules: String, postgres: String, source: String, redis: String, options: String, httpPort: Int
  ) throws -> String {
    try folder.write(
      """
      source: {postgres: 'postgresql://\(postgres)', \(source)}
      redis: {url: \(redis)}
      http: {listen: '127.0.0.1:\(httpPort)'}
      \(options)
      rules: \(rules)
      """, to: "setup.yaml")
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
