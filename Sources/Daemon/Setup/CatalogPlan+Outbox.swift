import Invalidation
import PostgresSource

/// The outbox in place of publication and slot.
extension CatalogPlan {
  mutating func completeOutbox(
    of tables: [RuledTable], for configuration: Configuration, _ session: CatalogSession
  ) throws(CatalogError) {
    let facts = try OutboxFacts.read(from: session)
    if facts.isInRecovery { findings.append(Finding(.standby)) }
    findings += facts.findings(wakeup: configuration.source.wakeup)
    if let finding = facts.ownerFinding { findings.append(finding) }
    if !facts.isInstalled {
      steps.append(
        Step(
          problem: "There is no outbox of this version.", statement: OutboxFacts.script,
          file: "sql/outbox.sql"))
      if !facts.mayCreateSchema {
        findings.append(
          Finding(
            "The role \(facts.user) may not create a schema in this database.",
            remedy: "GRANT CREATE ON DATABASE ... TO \(CatalogSession.quoted(identifier: facts.user));"))
      }
    }
    complete(wakeup: configuration.source.wakeup, facts)
    for table in tables {
      let columns = Self.columns(of: configuration.rules.filter { $0.table == table.name })
      if facts.isInstalled, try OutboxFacts.tells(of: table, columns, session) { continue }
      steps.append(
        Step(
          problem:
            "Changes of \(table.name.quoted), or of a partition of it, do not all come into the outbox.",
          statement: "SELECT cdcd.watch(\(CatalogSession.quoted(literal: table.name.quoted)),"
            + " \(OutboxFacts.array(columns)));"))
    }
    findings += Self.unruled(facts.watchedTables, configuration.rules)
  }

  /// In the order in which the rules read them.
  private static func columns(of rules: [Rule]) -> [String] {
    rules.flatMap(\.columns).reduce(into: []) { if !$0.contains($1) { $0.append($1) } }
  }

  private mutating func complete(wakeup: Configuration.Source.Wakeup, _ facts: OutboxFacts) {
    // The file installs the one that notifies.
    guard facts.wakeup ?? "notify" != wakeup.rawValue else { return }
    let body = wakeup == .notify ? "SELECT pg_notify('cdcd', '')" : "SELECT"
    steps.append(
      Step(
        problem: wakeup == .notify
          ? "New rows of the outbox notify nobody."
          : "New rows of the outbox notify, and source.wakeup is poll.",
        statement: """
          CREATE OR REPLACE FUNCTION cdcd.wake() RETURNS void
          LANGUAGE sql SET search_path = pg_catalog, pg_temp AS $$ \(body) $$;
          COMMENT ON FUNCTION cdcd.wake() IS '\(wakeup.rawValue)';
          """))
  }

  /// Their triggers cost the application's statements time, for nothing.
  private static func unruled(_ watched: [OutboxFacts.WatchedTable], _ rules: [Rule]) -> [Finding] {
    watched.filter { watched in !rules.contains { $0.table == watched.table } }.map { watched in
      Finding(
        .warning, "Changes of \(watched.sqlName) come into the outbox, and no rule is about it.",
        remedy: "SELECT cdcd.unwatch(\(CatalogSession.quoted(literal: watched.sqlName)));")
    }
  }
}
