import Invalidation
package import PostgresSource

/// What `cdcd teardown` is going to take away: what `setup` makes for the same file.
extension CatalogPlan {
  /// Looks at what is there. Changes nothing.
  package static func teardown(
    for configuration: Configuration, session: CatalogSession
  ) throws(CatalogError) -> CatalogPlan {
    let source = configuration.source
    var plan = CatalogPlan()
    if source.mode == .notify {
      try plan.removeOutbox(session)
    } else {
      try plan.removeSlot(source.slot, session)
    }
    if source.mode == .pgoutput, try PublicationFacts.read(source.publication, from: session) != nil {
      plan.add(
        "The publication \(source.publication).",
        "DROP PUBLICATION \(CatalogSession.quoted(identifier: source.publication));")
    }
    try plan.removeTriggers(source, session)
    return plan
  }

  private mutating func add(_ what: String, _ statement: String, isForOthers: Bool = false) {
    steps.append(Step(problem: what, statement: statement, isForOthers: isForOthers))
  }

  private mutating func removeSlot(_ name: String, _ session: CatalogSession) throws(CatalogError) {
    let literal = CatalogSession.quoted(literal: name)
    let slots = try session.rows(
      """
      SELECT active_pid FROM pg_catalog.pg_replication_slots
      WHERE slot_name = \(literal) AND database = pg_catalog.current_database()
      """)
    guard let slot = slots.first else { return }
    if let process = slot[0] {
      return findings.append(
        Finding("The slot \(name) is in use by process \(process).", remedy: "Stop cdcd first."))
    }
    add("The replication slot \(name).", "SELECT pg_drop_replication_slot(\(literal));")
  }

  private mutating func removeOutbox(_ session: CatalogSession) throws(CatalogError) {
    guard let outbox = try Self.outbox(session) else { return }
    let holders = try session.rows(
      """
      SELECT pid FROM pg_catalog.pg_locks WHERE locktype = 'advisory' AND granted
        AND database = (SELECT oid FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database())
        AND classid = 'pg_catalog.pg_class'::regclass::oid AND objid = \(outbox)
      """)
    if let process = holders.first?[0] {
      return findings.append(
        Finding("The outbox is read by process \(process).", remedy: "Stop cdcd first."))
    }
    add("The outbox, and its triggers on every table.", Self.outboxRemoval)
  }

  /// As at the end of `sql/outbox.sql`.
  private static let outboxRemoval = """
    SELECT cdcd.unwatch(relation) FROM cdcd.watched;
    DROP FUNCTION IF EXISTS cdcd.watch(regclass, text[]), cdcd.attach(regclass), cdcd.unwatch(regclass), cdcd.wake(),
      cdcd.invalidate(text[]);
    DROP TABLE cdcd.outbox, cdcd.progress, cdcd.watched;
    """

  /// The schema goes last, if nothing else is in it by then. They tell every cdcd of the database, and one that is not told any
  /// more would not notice.
  private mutating func removeTriggers(
    _ source: Configuration.Source, _ session: CatalogSession
  ) throws(CatalogError) {
    let row =
      try session.rows(
        """
        SELECT EXISTS (SELECT FROM pg_catalog.pg_event_trigger
            WHERE evtname IN ('cdcd_altering', 'cdcd_altered', 'cdcd_dropping', 'cdcd_dropped')),
          EXISTS (SELECT FROM pg_catalog.pg_proc WHERE proname IN ('tell_altering', 'note_partitions')
            AND pronamespace = pg_catalog.to_regnamespace('cdcd')),
          pg_catalog.to_regnamespace('cdcd') IS NOT NULL,
          (SELECT rolsuper FROM pg_catalog.pg_roles WHERE rolname = CURRENT_USER)
        """
      ).first ?? []
    guard row.count == 4 else { return }
    if row[0] == "t", let other = try Self.otherListener(source, session) {
      return findings.append(
        Finding(
          .warning, "The event triggers that tell of DDL stay: \(other) may be another cdcd's.",
          remedy: "If it is not, run the statements at the end of sql/ddl-triggers.sql."))
    }
    if row[0] == "t" || row[1] == "t" {
      add("The event triggers that tell of DDL.", Self.triggerRemoval, isForOthers: row[3] != "t")
    }
    if row[2] == "t" {
      add("The schema cdcd.", Self.schemaRemoval, isForOthers: row[3] != "t" && row[1] == "t")
    }
  }

  /// What in this database somebody else may follow who needs to be told of DDL.
  private static func otherListener(
    _ source: Configuration.Source, _ session: CatalogSession
  ) throws(CatalogError) -> String? {
    let own = source.mode == .notify ? "" : source.slot
    let slots = try session.rows(
      """
      SELECT slot_name FROM pg_catalog.pg_replication_slots
      WHERE database = pg_catalog.current_database() AND plugin IN ('pgoutput', 'wal2json')
        AND NOT temporary AND slot_name <> \(CatalogSession.quoted(literal: own))
      ORDER BY slot_name LIMIT 1
      """)
    if let slot = slots.first?[0] { return "the slot \(slot)" }
    guard source.mode != .notify else { return nil }
    return try outbox(session).map { _ in "the outbox" }
  }

  /// Its number, if there is one. Whoever plans for another role need not be allowed to use the schema, without which
  /// `to_regclass()` is an error.
  private static func outbox(_ session: CatalogSession) throws(CatalogError) -> String? {
    try session.rows(
      """
      SELECT c.oid FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
      WHERE n.nspname = 'cdcd' AND c.relname = 'outbox'
      """
    ).first?[0]
  }

  /// As at the end of `sql/ddl-triggers.sql`.
  private static let triggerRemoval = """
    DROP EVENT TRIGGER IF EXISTS cdcd_altering; DROP EVENT TRIGGER IF EXISTS cdcd_altered;
    DROP EVENT TRIGGER IF EXISTS cdcd_dropping; DROP EVENT TRIGGER IF EXISTS cdcd_dropped;
    DROP FUNCTION IF EXISTS cdcd.tell_altering(), cdcd.tell_altered_tables(), cdcd.note_partitions(),
      cdcd.tell_dropped_tables(), cdcd.tell(text, text), cdcd.owns_outbox();
    """

  /// Another cdcd of this database may have an outbox there.
  private static let schemaRemoval = """
    DO $$ BEGIN
      DROP SCHEMA cdcd;
    EXCEPTION WHEN dependent_objects_still_exist THEN
      RAISE NOTICE 'the schema cdcd is not empty and stays';
    END $$;
    """
}
