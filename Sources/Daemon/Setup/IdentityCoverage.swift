package import Invalidation
package import PostgresSource

/// Whether the row images that PostgreSQL sends carry every column that the rules read: else an old key is never
/// deleted, and nobody sees that it was not.
package enum IdentityCoverage {
  /// What is wrong with the ruled tables; empty when every rule can follow every change.
  package static func findings(
    rules: [Rule], mode: SourceMode, session: CatalogSession
  ) throws(CatalogError) -> [Finding] {
    var findings: [Finding] = []
    for name in tableNames(of: rules) {
      guard let table = try RuledTable.read(name, from: session) else {
        findings.append(missingTable(name))
        continue
      }
      findings += self.findings(table, rules: rules.filter { $0.table == name }, mode: mode)
    }
    return findings
  }

  /// The tables of the rules, each once, in the order of the file.
  static func tableNames(of rules: [Rule]) -> [TableName] {
    var names: [TableName] = []
    for table in rules.compactMap(\.table) where !names.contains(table) { names.append(table) }
    return names
  }

  /// What each rule reads, in the order of the file; rules that follow inserts alone read nothing of old rows.
  static func ruleColumns(of rules: [Rule]) -> [RuleColumns] {
    rules.map { rule in
      RuleColumns(
        table: rule.table, columns: rule.columns,
        ofOldRows: !rule.operations.isDisjoint(with: [.update, .delete]), conditions: rule.conditions)
    }
  }

  static func missingTable(_ name: TableName) -> Finding {
    Finding(
      "There is no table \(name.quoted).",
      remedy: "Create it, or mend table: in the rules; a name with capitals is written in double quotes."
    ).toldWhileRunning()
  }

  static func findings(_ table: RuledTable, rules: [Rule], mode: SourceMode) -> [Finding] {
    if let finding = unsuitable(table, mode) { return [finding] }
    var findings = rules.flatMap { columnFindings($0, table, mode) }
    // Triggers see whole rows.
    for leaf in table.leaves where leaf.kind == "r" && mode != .notify {
      let found = leafFindings(leaf, rules: rules, mode)
      findings += leaf.table == table.name ? found : found.map { $0.toldWhileRunning() }
    }
    for leaf in table.leaves where leaf.isUnlogged { findings.append(unlogged(leaf.table, mode)) }
    for leaf in table.leaves where leaf.kind == "f" {
      findings.append(
        Finding(
          .warning, "The partition \(leaf.table.quoted) is a foreign table: its changes are never told.",
          remedy: "Invalidate its keys from the application."))
    }
    if table.hasInheritanceChildren {
      findings.append(
        Finding(
          .warning,
          "Other tables inherit from \(table.name.quoted): their rows are not covered by its rules.",
          remedy: mode == .notify
            ? "Use another source.mode, and write rules for these tables too."
            : "Write rules for these tables too."))
    }
    return findings
  }

  /// Why no rule can work on the table at all.
  private static func unsuitable(_ table: RuledTable, _ mode: SourceMode) -> Finding? {
    if let root = table.root {
      return Finding(
        "\(table.name.quoted) is a partition of \(root.quoted), whose rules concern it too.",
        remedy: "Name the root in the rules: table: '\(root.quoted)'"
      ).toldWhileRunning()
    }
    guard table.kind == "r" || table.kind == "p" else {
      return Finding(
        "\(table.name.quoted) is not a table whose changes PostgreSQL can tell.",
        remedy: "Write the rules for the tables behind it.")
    }
    if table.inherits, mode == .notify {
      return Finding(
        "\(table.name.quoted) inherits from another table: what is changed through that one fires no trigger here, and the"
          + " outbox does not tell it.", remedy: "Use another source.mode for rules about it."
      ).toldWhileRunning()
    }
    return table.isUnlogged ? unlogged(table.name, mode) : nil
  }

  private static func unlogged(_ table: TableName, _ mode: SourceMode) -> Finding {
    Finding(
      "\(table.quoted) is unlogged or temporary: "
        + (mode == .notify ? "a crash empties it, and nothing tells." : "its changes are in no log."),
      remedy: "ALTER TABLE \(table.quoted) SET LOGGED;"
    ).toldWhileRunning()
  }

  private static func columnFindings(
    _ rule: Rule, _ table: RuledTable, _ mode: SourceMode
  ) -> [Finding] {
    rule.columns.compactMap { name in
      guard let column = table.columns.first(where: { $0.name == name }) else {
        let nearest = nearestName(to: name, among: table.columns.map(\.name))
        return Finding(
          "The rule \(rule.name) reads the column \"\(name)\", which \(table.name.quoted) does not have.",
          remedy: nearest.map { "The nearest is \"\($0)\"." } ?? "The table has no columns.")
      }
      guard column.isGenerated, mode != .notify, mode != .pgoutput || !column.isPublishable else {
        return nil
      }
      return Finding(
        "The rule \(rule.name) reads the generated column \"\(name)\" of \(table.name.quoted), "
          + "which PostgreSQL does not send.",
        remedy: "Use the columns that it is generated from.")
    }
  }

  private static func leafFindings(
    _ leaf: RuledTable.Leaf, rules: [Rule], _ mode: SourceMode
  ) -> [Finding] {
    let remedy = "ALTER TABLE \(leaf.table.quoted) REPLICA IDENTITY FULL;"
    guard leaf.hasUsableIdentity else {
      return [
        Finding(
          "\(leaf.table.quoted) has no usable replica identity: "
            + (mode == .pgoutput
              ? "once it is published, every UPDATE and DELETE of the application on it fails."
              : "wal2json leaves out its updates and deletes."),
          remedy: remedy)
      ]
    }
    guard leaf.identity != "f" else { return [] }
    return rules.compactMap { rule in
      guard !rule.operations.isDisjoint(with: [.update, .delete]) else { return nil }
      let uncovered = rule.columns.filter { !leaf.identityColumns.contains($0) }
      guard !uncovered.isEmpty else { return nil }
      let names = uncovered.map { "\"\($0)\"" }.joined(separator: ", ")
      return Finding(
        "The rule \(rule.name) reads \(names), which the replica identity of \(leaf.table.quoted) "
          + "does not cover: the keys of old rows would never be deleted.",
        remedy: remedy)
    }
  }
}
