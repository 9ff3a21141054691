import Invalidation
package import PostgresSource

/// What `cdcd setup` is going to do.
extension CatalogPlan {
  /// Compares the rules with the catalogue. Changes nothing.
  package static func setup(
    for configuration: Configuration, session: CatalogSession
  ) throws(CatalogError) -> CatalogPlan {
    let source = configuration.source
    var plan = CatalogPlan()
    var tables: [RuledTable] = []
    for name in IdentityCoverage.tableNames(of: configuration.rules) {
      guard let table = try RuledTable.read(name, from: session) else {
        plan.findings.append(IdentityCoverage.missingTable(name))
        continue
      }
      tables.append(table)
      plan.findings += IdentityCoverage.findings(
        table, rules: configuration.rules.filter { $0.table == name }, mode: source.mode)
    }
    plan.findings += try ConditionCheck.findings(rules: configuration.rules, session: session)
    guard source.mode != .notify else {
      try plan.completeOutbox(of: tables, for: configuration, session)
      plan.complete(try DDLTriggers.read(from: session))
      return plan
    }
    let readsGenerated = tables.contains { $0.isReadGenerated(by: configuration.rules) }
    let slot = try SlotFacts.read(source.slot, from: session)
    plan.findings += slot.findings(source.slot, mode: source.mode)
    if source.mode == .wal2json {
      // Of every table, published or not.
    } else if let publication = try PublicationFacts.read(source.publication, from: session) {
      plan.complete(publication, tables, user: slot.user, readsGenerated: readsGenerated)
    } else if !tables.isEmpty || configuration.rules.contains(where: \.takesMessages) {
      plan.create(source.publication, tables, user: slot.user, readsGenerated: readsGenerated)
      if slot.slot != nil { plan.findings.append(Self.slotOlderThanPublication(source)) }
    }
    plan.complete(try DDLTriggers.read(from: session))
    if slot.slot == nil {
      plan.steps.append(Self.creation(ofSlot: source.slot, source.mode, session.serverVersion))
    }
    return plan
  }

  /// Without tables, for messages alone, the publication is empty.
  private static func tables(_ tables: [RuledTable]) -> String {
    tables.isEmpty ? "" : "FOR TABLE \(list(tables)) "
  }

  /// ONLY, because tables that inherit from a published one would be published too, whatever their identity.
  private static func list(_ tables: [RuledTable]) -> String {
    tables.map { "ONLY \($0.name.quoted)" }.joined(separator: ", ")
  }

  /// To publish a table takes USAGE on its schema; to stream its changes does not.
  private mutating func requireSchemas(of tables: [RuledTable], user: String) {
    var named: Set<String> = []
    for table in tables where !table.mayBeNamed && named.insert(table.name.schema).inserted {
      var finding = Finding(
        "The role \(user) may not use the schema \(table.name.schema), and so not publish \(table.name.quoted).",
        remedy: "GRANT USAGE ON SCHEMA \(CatalogSession.quoted(identifier: table.name.schema))"
          + " TO \(CatalogSession.quoted(identifier: user));")
      finding.isAboutRole = true
      findings.append(finding)
    }
  }

  private mutating func create(
    _ name: String, _ tables: [RuledTable], user: String, readsGenerated: Bool
  ) {
    requireSchemas(of: tables, user: user)
    steps.append(
      Step(
        problem: "There is no publication \(name). Without one nothing is streamed.",
        statement:
          "CREATE PUBLICATION \(CatalogSession.quoted(identifier: name)) \(Self.tables(tables))"
          + "WITH (publish = 'insert, update, delete, truncate'"
          + (readsGenerated ? ", publish_generated_columns = stored);" : ");")))
  }

  private mutating func complete(
    _ publication: PublicationFacts, _ tables: [RuledTable], user: String, readsGenerated: Bool
  ) {
    findings += publication.findings(about: tables.flatMap { [$0.name] + $0.leaves.map(\.table) })
    let name = CatalogSession.quoted(identifier: publication.name)
    let missing = tables.filter { !publication.publishes($0) }
    requireSchemas(of: missing, user: user)
    if !missing.isEmpty {
      let names = missing.map(\.name.quoted).joined(separator: ", ")
      steps.append(
        Step(
          problem: "The publication \(publication.name) lacks \(names). Their changes are not streamed.",
          statement: "ALTER PUBLICATION \(name) ADD TABLE \(Self.list(missing));"))
    }
    if readsGenerated, !publication.sendsGenerated {
      steps.append(
        Step(
          problem: "The publication \(publication.name) leaves out generated columns, which the rules read.",
          statement: "ALTER PUBLICATION \(name) SET (publish_generated_columns = stored);"))
    }
    if publication.viaRoot, tables.contains(where: \.isPartitioned) { steps.append(publication.viaRootStep) }
  }

  private mutating func complete(_ triggers: DDLTriggers) {
    guard !triggers.areInstalled else { return }
    steps.append(
      Step(
        problem: DDLTriggers.problem, statement: DDLTriggers.script, remedy: triggers.remedy,
        file: "sql/ddl-triggers.sql", isOptional: true, isForOthers: !triggers.mayInstall))
  }

  private static func creation(
    ofSlot name: String, _ mode: SourceMode, _ serverVersion: Int
  ) -> Step {
    Step(
      problem: "There is no replication slot \(name). cdcd reads the changes from it.",
      statement: SlotCreation.sql(name, mode, serverVersion: serverVersion) + ";",
      makesSlot: true)
  }

  /// Decoding what was written before the publication existed would fail.
  private static func slotOlderThanPublication(_ source: Configuration.Source) -> Finding {
    Finding(
      "The slot \(source.slot) is older than the publication \(source.publication), "
        + "which has to exist before the slot's position.",
      remedy: "SELECT pg_drop_replication_slot(\(CatalogSession.quoted(literal: source.slot))); "
        + "and run cdcd setup again; cdcd then flushes the keys of the rules")
  }
}

extension PublicationFacts {
  /// Where rules name a partitioned table.
  var viaRootStep: CatalogPlan.Step {
    CatalogPlan.Step(
      problem:
        "The publication \(name) sends changes under the root's name, and so no TRUNCATE of a single partition, and no"
        + " replica identity of one.",
      statement: "ALTER PUBLICATION \(CatalogSession.quoted(identifier: name))"
        + " SET (publish_via_partition_root = false);", isOptional: true)
  }

  /// What hides changes. `setup` does not mend it: other tables of the publication might not bear it.
  func findings(about ruled: [TableName]) -> [Finding] {
    var findings: [Finding] = []
    let quoted = CatalogSession.quoted(identifier: name)
    if !publishesEverything { findings.append(Finding(.leavesOutKinds(publication: name))) }
    for table in restrictedTables where ruled.contains(table) {
      findings.append(
        Finding(
          "The publication \(name) hides rows or columns of \(table.quoted).",
          remedy: "ALTER PUBLICATION \(quoted) DROP TABLE \(table.quoted); and run cdcd setup again"))
    }
    return findings
  }
}
