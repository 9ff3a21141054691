import Invalidation

/// The one query that learns everything about the server, as rows of text, and what it said.
struct ServerFacts {
  struct Slot {
    /// Nil for a physical one.
    var plugin: String?
    var ofThisDatabase: Bool
    var twoPhase: Bool
    var isLost: Bool
    /// `invalidation_reason`, 17 and later: why it is lost.
    var lossReason: String?
    /// `failover` and `synced`, 17 and later.
    var isSynchronized: Bool
    /// Nil while somebody is making it.
    var confirmedFlush: LSN?

    /// What became of a lost one, with what keeps it from happening again.
    var loss: String {
      switch lossReason {
      case nil, "wal_removed": "has lost its WAL; raise max_slot_wal_keep_size"
      case "idle_timeout": "was idle for too long; raise idle_replication_slot_timeout"
      case "wal_level_insufficient": "could not outlast a wal_level below logical"
      case let reason?: "was invalidated (\(reason))"
      }
    }
  }

  var systemIdentifier: String
  var isStandby: Bool
  /// That which the server writes now; nil on a standby.
  var timeline: UInt32?
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
  var partitionTree: String?
  /// By rule, `SourceFacts.bareTables`.
  var bareTables: [Int: String]
  /// By rule, `SourceFacts.missingColumns`.
  var missingColumns: [Int: String]
  /// By rule, `SourceFacts.conditionTypes`.
  var conditionTypes: [Int: String]
  var asynchronousCommit: Bool
  /// Whether the replication connection's process runs on this server.
  var seesWalsender: Bool
  /// Whether `synchronous_standby_names` takes the replication connection for a standby that commits wait for.
  var isOwnStandby: Bool
  /// Nil when there is none of that name.
  var slot: Slot?
  /// `SourceFacts.database`.
  var database: String?
  /// Up to where rows of the outbox have been removed.
  var removedTo: LSN

  /// `changeProcess` is the process id of the server process behind the connection that brings the changes.
  static func query(
    _ configuration: PostgresSourceConfiguration, changeProcess: Int32, serverVersion: Int32
  ) -> String {
    // Crash recovery resets the WAL statistics and a clean restart keeps them; before 15 both lose them.
    let marker =
      serverVersion >= 150_000 ? "(SELECT stats_reset FROM pg_stat_wal)" : "pg_postmaster_start_time()"
    let slot = CatalogSession.quoted(literal: configuration.slot)
    let failover =
      serverVersion >= 170_000 ? "s.failover AND s.synced, s.invalidation_reason" : "false, NULL"
    let publication =
      configuration.mode == .pgoutput ? CatalogSession.quoted(literal: configuration.publication) : "NULL"
    return """
      SELECT (SELECT system_identifier FROM pg_control_system()),
        pg_is_in_recovery(),
        CASE WHEN pg_is_in_recovery() THEN '0/0' ELSE pg_current_wal_flush_lsn() END,
        CASE WHEN pg_is_in_recovery() THEN '0/0' ELSE pg_current_wal_insert_lsn() END,
        (extract(epoch FROM \(marker)) * 1000000)::bigint,
        current_setting('wal_level'),
        EXISTS (SELECT FROM pg_publication WHERE pubname = \(publication)),
        EXISTS (\(AsynchronousCommits.resets)),
        EXISTS (SELECT FROM pg_stat_get_activity(\(changeProcess))),
        EXISTS (
          SELECT FROM pg_stat_get_activity(\(changeProcess)) AS own
          WHERE \(SynchronousStandbys.sql(taking: "own.application_name"))),
        s.slot_type, s.plugin, s.database = current_database(), s.two_phase, s.wal_status,
        s.confirmed_flush_lsn,
        (SELECT pubinsert AND pubupdate AND pubdelete AND pubtruncate FROM pg_publication
          WHERE pubname = \(publication)),
        \(unpublishedQuery(configuration, publication, serverVersion)),
        \(configuration.mode == .notify
          ? watchIdentityQuery(configuration.tables)
          : identityQuery(configuration.tables, publication, serverVersion)),
        \(configuration.mode == .notify ? "NULL" : bareTableQuery(configuration.ruleColumns)),
        \(numbersQuery(configuration.tables, where: "c.relkind = 'p'")),
        pg_current_snapshot()::text,
        \(numbersQuery(configuration.tables, where: "c.relispartition")),
        \(configuration.mode == .pgoutput ? "NULL" : missingColumnQuery(configuration.ruleColumns)),
        \(configuration.mode == .pgoutput ? "NULL" : partitionTreeQuery(configuration.tables)),
        CASE WHEN pg_is_in_recovery() THEN NULL ELSE left(pg_walfile_name(pg_current_wal_flush_lsn()), 8) END,
        \(failover),
        \(configuration.mode == .notify ? "(SELECT removed_to FROM cdcd.progress)" : "NULL"),
        \(configuration.mode == .notify ? "(SELECT oid FROM pg_database WHERE datname = current_database())" : "NULL"),
        \(conditionTypeQuery(configuration.ruleColumns))
      FROM (VALUES (1)) AS one LEFT JOIN pg_replication_slots AS s ON s.slot_name = \(slot)
      """
  }

  /// The numbers of tables whose changes do not all come.
  private static func unpublishedQuery(
    _ configuration: PostgresSourceConfiguration, _ publication: String, _ serverVersion: Int32
  ) -> String {
    switch configuration.mode {
    case .pgoutput: unpublishedQuery(configuration.tables, publication, serverVersion)
    case .wal2json: untoldQuery(configuration.tables, configuration.ruleColumns)
    case .notify: unwatchedQuery(configuration.tables, configuration.ruleColumns)
    }
  }

  /// Nil when the row is not the one that was asked for.
  init?(_ row: [String?]) {
    guard row.count == 31, let system = row[0], let flush = row[2].flatMap({ LSN($0) }),
      let inserted = row[3].flatMap({ LSN($0) }), let level = row[5],
      let snapshot = row[21].flatMap({ TransactionSnapshot($0) })
    else { return nil }
    systemIdentifier = system
    isStandby = row[1] == "t"
    timeline = row[25].flatMap { UInt32($0, radix: 16) }
    flushLSN = flush
    insertLSN = inserted
    // Statistics that were never reset have no time.
    crashMarker = row[4] ?? "0"
    walLevel = level
    publicationExists = row[6] == "t"
    asynchronousCommit = row[7] == "t"
    seesWalsender = row[8] == "t"
    isOwnStandby = row[9] == "t"
    slot = row[10].map { _ in
      Slot(
        plugin: row[11], ofThisDatabase: row[12] == "t", twoPhase: row[13] == "t",
        isLost: row[14] == "lost", lossReason: row[27], isSynchronized: row[26] == "t",
        confirmedFlush: row[15].flatMap { LSN($0) })
    }
    publishesEverything = row[16] == "t"
    unpublishedNumbers = ServerFacts.numbers(row[17])
    identities = row[18].map { $0.split(separator: " ").map(String.init) } ?? []
    bareTables = ServerFacts.namesByRule(row[19])
    partitionedNumbers = ServerFacts.numbers(row[20])
    self.snapshot = snapshot
    partitionNumbers = ServerFacts.numbers(row[22])
    missingColumns = ServerFacts.namesByRule(row[23])
    partitionTree = row[24]
    database = row[29]
    conditionTypes = ServerFacts.namesByRule(row[30])
    removedTo = row[28].flatMap { LSN($0) } ?? .zero
  }

  static func numbers(_ text: String?) -> [Int] {
    text.map { $0.split(separator: " ").compactMap { Int($0) } } ?? []
  }

  /// Lines of a rule's number and a text.
  private static func namesByRule(_ lines: String?) -> [Int: String] {
    var names: [Int: String] = [:]
    for line in (lines ?? "").split(separator: "\n") {
      let parts = line.split(separator: " ", maxSplits: 1)
      if parts.count == 2, let rule = Int(parts[0]) { names[rule] = String(parts[1]) }
    }
    return names
  }

  /// `tables` are those that were asked for.
  func publication(of tables: [TableName]) -> [TableName: String] {
    Dictionary(zip(tables, identities), uniquingKeysWith: { first, _ in first })
  }

  /// Those of `tables`, which are the ones that were asked for, that are partitioned.
  func partitioned(of tables: [TableName]) -> Set<TableName> { pick(partitionedNumbers, of: tables) }

  /// Those of `tables`, likewise, that are partitions.
  func partitions(of tables: [TableName]) -> Set<TableName> { pick(partitionNumbers, of: tables) }

  /// Those of `tables` whose changes the publication does not carry, all of them.
  func unpublished(of tables: [TableName]) -> Set<TableName> { pick(unpublishedNumbers, of: tables) }

  private func pick(_ numbers: [Int], of tables: [TableName]) -> Set<TableName> {
    Set(numbers.filter(tables.indices.contains).map { tables[$0] })
  }

  /// What an operator has to mend first; nil when there is nothing.
  func obstacle(
    _ configuration: PostgresSourceConfiguration, identity: SystemIdentity
  ) -> SourceFailure? {
    if isStandby { return .standby }
    guard systemIdentifier == identity.system, seesWalsender else {
      return SourceFailure(.misconfigured, .differentServers)
    }
    // The change connection was made while the server was a standby still: what it told is out of date.
    guard timeline == identity.timeline else {
      return SourceFailure(.unavailable, "PostgreSQL: the server was promoted while cdcd connected")
    }
    if configuration.mode == .notify { return nil }
    guard walLevel == "logical" else {
      return SourceFailure(.misconfigured, .walLevel(walLevel))
    }
    guard !isOwnStandby else { return SourceFailure(.misconfigured, .ownStandby) }
    guard configuration.mode == .wal2json || publicationExists else {
      return misconfigured("there is no publication \"\(configuration.publication)\": run `cdcd setup`")
    }
    guard configuration.mode == .wal2json || publishesEverything else {
      return SourceFailure(.unpublished, .leavesOutKinds(publication: configuration.publication))
    }
    guard let slot else { return nil }
    return SourceProblem.unusable(
      slot: configuration.slot, plugin: slot.plugin, isOfThisDatabase: slot.ofThisDatabase,
      hasTwoPhase: slot.twoPhase, wanted: configuration.mode
    ).map { SourceFailure(.misconfigured, $0) }
  }

  private func misconfigured(_ text: String) -> SourceFailure {
    SourceFailure(.misconfigured, "PostgreSQL: " + text)
  }
}
