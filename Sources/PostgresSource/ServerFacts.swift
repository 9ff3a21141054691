import Invalidation

/// The one query that learns everything about the server, as rows of text, and what it said.
struct ServerFacts {
  struct Slot {
    var type: String
    var plugin: String
    var ofThisDatabase: Bool
    var twoPhase: Bool
    var isLost: Bool
    /// Nil while somebody is making it.
    var confirmedFlush: LSN?
  }

  var systemIdentifier: String
  var isStandby: Bool
  var flushLSN: LSN
  var insertLSN: LSN
  var crashMarker: String
  var walLevel: String
  var publicationExists: Bool
  var publishesEverything: Bool
  /// The numbers of the ruled tables that the publication leaves out or filters.
  private var unpublishedNumbers: [Int]
  /// For each ruled table, in order, `SourceFacts.publication`.
  private var identities: [String]
  var snapshot: TransactionSnapshot
  /// The numbers of the ruled tables that are partitioned.
  private var partitionedNumbers: [Int]
  /// Of those that are partitions.
  private var partitionNumbers: [Int]
  /// By rule, `SourceFacts.bareTables`.
  var bareTables: [Int: String]
  var asynchronousCommit: Bool
  /// Whether the replication connection's process runs on this server.
  var seesWalsender: Bool
  /// Whether `synchronous_standby_names` takes the replication connection for a standby that commits wait for.
  var isOwnStandby: Bool
  /// Nil when there is none of that name.
  var slot: Slot?

  /// `walsender` is the process id of the replication connection's server process.
  static func query(
    _ configuration: PostgresSourceConfiguration, walsender: Int32, serverVersion: Int32
  ) -> String {
    // Crash recovery resets the WAL statistics and a clean restart keeps them; before 15 both lose them.
    let marker =
      serverVersion >= 150_000 ? "(SELECT stats_reset FROM pg_stat_wal)" : "pg_postmaster_start_time()"
    let slot = CatalogSession.quoted(literal: configuration.slot)
    let publication = CatalogSession.quoted(literal: configuration.publication)
    return """
      SELECT (SELECT system_identifier FROM pg_control_system()),
        pg_is_in_recovery(),
        CASE WHEN pg_is_in_recovery() THEN '0/0' ELSE pg_current_wal_flush_lsn() END,
        CASE WHEN pg_is_in_recovery() THEN '0/0' ELSE pg_current_wal_insert_lsn() END,
        (extract(epoch FROM \(marker)) * 1000000)::bigint,
        current_setting('wal_level'),
        EXISTS (SELECT FROM pg_publication WHERE pubname = \(publication)),
        current_setting('synchronous_commit') = 'off' OR EXISTS (
          SELECT FROM pg_db_role_setting, unnest(setconfig) AS setting
          WHERE setting ~* '^synchronous_commit='),
        EXISTS (SELECT FROM pg_stat_get_activity(\(walsender))),
        EXISTS (
          SELECT FROM pg_stat_get_activity(\(walsender)) AS own
          WHERE \(SynchronousStandbys.sql(taking: "own.application_name"))),
        s.slot_type, s.plugin, s.database = current_database(), s.two_phase, s.wal_status,
        s.confirmed_flush_lsn,
        (SELECT pubinsert AND pubupdate AND pubdelete AND pubtruncate FROM pg_publication
          WHERE pubname = \(publication)),
        \(unpublishedQuery(configuration.tables, publication, serverVersion)),
        \(identityQuery(configuration.tables, publication, serverVersion)),
        \(bareTableQuery(configuration.oldRowColumns)),
        \(numbersQuery(configuration.tables, where: "c.relkind = 'p'")),
        pg_current_snapshot()::text,
        \(numbersQuery(configuration.tables, where: "c.relispartition"))
      FROM (VALUES (1)) AS one LEFT JOIN pg_replication_slots AS s ON s.slot_name = \(slot)
      """
  }

  /// A partitioned table that is not sent under its own name is published with all its partitions when it is itself a
  /// member of the publication; a partition may still have a row filter of its own.
  private static func unpublishedQuery(
    _ tables: [TableName], _ publication: String, _ serverVersion: Int32
  ) -> String {
    guard !tables.isEmpty else { return "NULL" }
    let isRecent = serverVersion >= 150_000
    let unfiltered = isRecent ? "AND s.rowfilter IS NULL" : ""
    let bySchema = """
      OR EXISTS (SELECT FROM pg_publication_namespace AS m WHERE m.pnpubid = p.oid AND m.pnnspid = n.oid)
      """
    return """
      (SELECT string_agg(unpublished.number::text, ' ') FROM (SELECT t.number
        FROM (VALUES \(list(tables))) AS t (number, schema, name)
        LEFT JOIN pg_namespace AS n ON n.nspname = t.schema
        LEFT JOIN pg_class AS c ON c.relnamespace = n.oid AND c.relname = t.name
        LEFT JOIN pg_publication AS p ON p.pubname = \(publication)
        LEFT JOIN LATERAL (
          SELECT l.relpersistence = 'p' AS is_logged, EXISTS (
            SELECT FROM pg_publication_tables AS s
            WHERE s.pubname = p.pubname AND s.schemaname = ln.nspname AND s.tablename = l.relname \(unfiltered))
            AS is_sent
          FROM (\(tree("c.oid"))) AS leaf JOIN pg_class AS l ON l.oid = leaf.relid AND l.relkind = 'r'
          JOIN pg_namespace AS ln ON ln.oid = l.relnamespace) AS part ON c.relkind = 'p'
        GROUP BY t.number, t.schema, t.name, c.oid, c.relkind, n.oid, p.oid, p.pubname, p.pubviaroot, p.puballtables
        HAVING NOT coalesce(bool_and(part.is_logged), true) OR NOT CASE WHEN c.relkind = 'p' AND NOT p.pubviaroot
          THEN coalesce(bool_and(part.is_sent), true) AND (p.puballtables
            OR EXISTS (SELECT FROM pg_publication_rel AS m WHERE m.prpubid = p.oid AND m.prrelid = c.oid)
            \(isRecent ? bySchema : ""))
          ELSE EXISTS (SELECT FROM pg_publication_tables AS s
            WHERE s.pubname = p.pubname AND s.schemaname = t.schema AND s.tablename = t.name \(unfiltered)) END) AS unpublished)
      """
  }

  /// SQL for the table and all its partitions. Unlike `pg_partition_tree()` it waits for no lock on any of them.
  private static func tree(_ oid: String) -> String {
    """
    WITH RECURSIVE tree (relid) AS (
      SELECT \(oid) UNION ALL
      SELECT i.inhrelid FROM tree
      JOIN pg_class AS parent ON parent.oid = tree.relid AND parent.relkind = 'p'
      JOIN pg_inherits AS i ON i.inhparent = tree.relid AND NOT i.inhdetachpending)
    SELECT relid FROM tree
    """
  }

  private static func list(_ tables: [TableName]) -> String {
    tables.enumerated().map { number, table in
      "(\(number), \(CatalogSession.quoted(literal: table.schema)), \(CatalogSession.quoted(literal: table.name)))"
    }.joined(separator: ", ")
  }

  /// Every object between a table and the stream, with the transaction that wrote it where that is rare: a name is
  /// written with the row type and with the schema (the table's own row is written by VACUUM FULL and GRANT too), the
  /// publication's options with the publication, and each way into the publication is an object of its own. A partition
  /// whose DETACH CONCURRENTLY is pending has no rows any more for new snapshots.
  private static func identityQuery(
    _ tables: [TableName], _ publication: String, _ serverVersion: Int32
  ) -> String {
    guard !tables.isEmpty else { return "NULL" }
    let bySchema = """
      (SELECT string_agg(s.oid::text, '.' ORDER BY s.oid) FROM pg_publication_namespace AS s
        WHERE s.pnpubid = p.oid AND s.pnnspid = n.oid)
      """
    return """
      (SELECT string_agg(
          concat_ws('.', c.oid, y.xmin, n.oid, n.xmin, p.oid, p.xmin, 'tables',
            (SELECT string_agg(r.oid::text, '.' ORDER BY r.oid) FROM pg_publication_rel AS r
              WHERE r.prpubid = p.oid AND r.prrelid = c.oid),
            'detaching', (SELECT string_agg(i.inhrelid::text, '.' ORDER BY i.inhrelid)
              FROM (\(tree("c.oid"))) AS part JOIN pg_inherits AS i ON i.inhparent = part.relid AND i.inhdetachpending),
            'schemas', \(serverVersion >= 150_000 ? bySchema : "NULL")),
          ' ' ORDER BY t.number)
        FROM (VALUES \(list(tables))) AS t (number, schema, name)
        LEFT JOIN pg_namespace AS n ON n.nspname = t.schema
        LEFT JOIN pg_class AS c ON c.relnamespace = n.oid AND c.relname = t.name
        LEFT JOIN pg_type AS y ON y.oid = c.reltype
        LEFT JOIN pg_publication AS p ON p.pubname = \(publication))
      """
  }

  private static func numbersQuery(_ tables: [TableName], where condition: String) -> String {
    guard !tables.isEmpty else { return "NULL" }
    return """
      (SELECT string_agg(t.number::text, ' ')
        FROM (VALUES \(list(tables))) AS t (number, schema, name)
        JOIN pg_namespace AS n ON n.nspname = t.schema
        JOIN pg_class AS c ON c.relnamespace = n.oid AND c.relname = t.name AND \(condition))
      """
  }

  /// For each rule one table, itself or a partition, if there is one, whose replica identity lacks a column that the rule reads: its number
  /// and the table's name, a line each. The name is for people.
  private static func bareTableQuery(_ rules: [Int: OldRowColumns]) -> String {
    guard !rules.isEmpty else { return "NULL" }
    let values = rules.sorted { $0.key < $1.key }.map { number, rule in
      let columns = rule.columns.map(CatalogSession.quoted(literal:)).joined(separator: ", ")
      return "(\(number), \(CatalogSession.quoted(literal: rule.table.schema)), "
        + "\(CatalogSession.quoted(literal: rule.table.name)), ARRAY[\(columns)]::name[])"
    }
    return """
      (SELECT string_agg(bare.rule || ' ' || translate(bare.name, E'\\n', ' '), E'\\n')
        FROM (
          SELECT r.rule, min(format('%I.%I', ln.nspname, l.relname)) AS name
          FROM (VALUES \(values.joined(separator: ", "))) AS r (rule, schema, name, columns)
          JOIN pg_namespace AS n ON n.nspname = r.schema
          JOIN pg_class AS c ON c.relnamespace = n.oid AND c.relname = r.name
          CROSS JOIN LATERAL (\(tree("c.oid"))) AS leaf
          JOIN pg_class AS l ON l.oid = leaf.relid AND l.relkind = 'r' AND l.relreplident <> 'f'
          JOIN pg_namespace AS ln ON ln.oid = l.relnamespace
          WHERE NOT r.columns <@ \(ReplicaIdentityColumns.sql(of: "l"))
          GROUP BY r.rule) AS bare)
      """
  }

  /// Nil when the row is not the one that was asked for.
  init?(_ row: [String?]) {
    guard row.count == 23, let system = row[0], let flush = row[2].flatMap({ LSN($0) }),
      let inserted = row[3].flatMap({ LSN($0) }), let level = row[5],
      let snapshot = row[21].flatMap({ TransactionSnapshot($0) })
    else { return nil }
    systemIdentifier = system
    isStandby = row[1] == "t"
    flushLSN = flush
    insertLSN = inserted
    // Statistics that were never reset have no time.
    crashMarker = row[4] ?? "0"
    walLevel = level
    publicationExists = row[6] == "t"
    asynchronousCommit = row[7] == "t"
    seesWalsender = row[8] == "t"
    isOwnStandby = row[9] == "t"
    slot = row[10].map { type in
      Slot(
        type: type, plugin: row[11] ?? "none", ofThisDatabase: row[12] == "t", twoPhase: row[13] == "t",
        isLost: row[14] == "lost", confirmedFlush: row[15].flatMap { LSN($0) })
    }
    publishesEverything = row[16] == "t"
    unpublishedNumbers = ServerFacts.numbers(row[17])
    identities = row[18].map { $0.split(separator: " ").map(String.init) } ?? []
    bareTables = ServerFacts.bareTables(row[19] ?? "")
    partitionedNumbers = ServerFacts.numbers(row[20])
    self.snapshot = snapshot
    partitionNumbers = ServerFacts.numbers(row[22])
  }

  private static func numbers(_ text: String?) -> [Int] {
    text.map { $0.split(separator: " ").compactMap { Int($0) } } ?? []
  }

  private static func bareTables(_ lines: String) -> [Int: String] {
    var tables: [Int: String] = [:]
    for line in lines.split(separator: "\n") {
      let parts = line.split(separator: " ", maxSplits: 1)
      if parts.count == 2, let rule = Int(parts[0]) { tables[rule] = String(parts[1]) }
    }
    return tables
  }

  /// `tables` are those that were asked for.
  func publication(of tables: [TableName]) -> [TableName: String] {
    Dictionary(zip(tables, identities), uniquingKeysWith: { first, _ in first })
  }

  /// Those of `tables`, which are the ones that were asked for, that are partitioned.
  func partitioned(of tables: [TableName]) -> Set<TableName> {
    Set(partitionedNumbers.filter(tables.indices.contains).map { tables[$0] })
  }

  /// Those of `tables`, likewise, that are partitions.
  func partitions(of tables: [TableName]) -> Set<TableName> {
    Set(partitionNumbers.filter(tables.indices.contains).map { tables[$0] })
  }

  /// Those of `tables` whose changes the publication does not carry, all of them.
  func unpublished(of tables: [TableName]) -> Set<TableName> {
    Set(unpublishedNumbers.filter(tables.indices.contains).map { tables[$0] })
  }

  /// What an operator has to mend first; nil when there is nothing.
  func obstacle(
    _ configuration: PostgresSourceConfiguration, systemOfReplication: String
  ) -> SourceFailure? {
    if isStandby { return .standby }
    guard systemIdentifier == systemOfReplication, seesWalsender else {
      return misconfigured(
        "the replication connection and the query connection reach different servers: point source.postgres at"
          + " the primary itself, not at a pooler or a balanced address")
    }
    guard walLevel == "logical" else {
      return misconfigured(
        "wal_level is \(walLevel): run ALTER SYSTEM SET wal_level = logical, then restart the server")
    }
    // A commit would wait for cdcd's confirmation, and cdcd for the commit to be visible (contract 1).
    guard !isOwnStandby else {
      return misconfigured(
        "synchronous_standby_names takes cdcd for a standby, so every commit would hang: list the real standbys"
          + " there, without * and without cdcd's application_name")
    }
    guard publicationExists else {
      return misconfigured("there is no publication \"\(configuration.publication)\": run `cdcd setup`")
    }
    guard publishesEverything else {
      return SourceFailure(
        .unpublished,
        "PostgreSQL: the publication \"\(configuration.publication)\" leaves out kinds of changes: run ALTER PUBLICATION"
          + " ... SET (publish = 'insert, update, delete, truncate')")
    }
    guard let slot else { return nil }
    let name = "the slot \"\(configuration.slot)\""
    guard slot.type == "logical", slot.plugin == "pgoutput", slot.ofThisDatabase, !slot.twoPhase else {
      return misconfigured(
        name + " is not a logical slot of this database with plugin pgoutput and without two_phase: name"
          + " another in source.slot, or drop it with pg_drop_replication_slot")
    }
    return nil
  }

  private func misconfigured(_ text: String) -> SourceFailure {
    SourceFailure(.misconfigured, "PostgreSQL: " + text)
  }
}
