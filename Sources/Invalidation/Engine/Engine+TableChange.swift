/// DDL that changes rows without row events: a flush is all that covers it (contract 4).
extension Engine {
  /// A message of `sql/ddl-triggers.sql`: the command, a line feed, and the quoted name of a table that it changed, or * for
  /// whichever.
  ///
  /// Every ALTER TABLE counts: which rows it changes for readers, the command alone does not tell.
  mutating func tableChanged(by content: Span<UInt8>) {
    let parts = [UInt8](content).split(separator: UInt8(ascii: "\n"), maxSplits: 1)
    guard parts.count == 2 else { return malformed("a message cdcd.ddl that names no table") }
    tableChanged(
      by: String(decoding: parts[0], as: UTF8.self), name: String(decoding: parts[1], as: UTF8.self))
  }

  mutating func tableChanged(by command: String, name: String) {
    // A table may have taken a ruled one's name, or left the publication.
    queries.tell(toldChange)
    holdUntilVisible()
    forgetPlaces()
    guard let rules = rules(toldBy: name) else {
      return malformed("a message cdcd.ddl with a table's name that cannot be read")
    }
    guard !rules.isEmpty else { return }
    conditionsMayDiffer(rules)
    // The flush covers it, so the next Relation message is no news.
    let tables = Set(rules.compactMap { configuration.rules[$0].table })
    stream.known = stream.known.filter { $1.tables.isDisjoint(with: tables) }
    report(
      .info, "ddl",
      command + " changed " + (name == "*" ? "perhaps any table" : name))
    openGap(.tableChanged, rules: rules)
  }

  /// What an outbox holds is visible, and was committed after what was read before.
  private var toldChange: QueryState.ToldChange {
    guard configuration.mode != .notify, let transaction = stream.transaction else {
      return QueryState.ToldChange(xid: nil, position: stream.received)
    }
    return QueryState.ToldChange(xid: transaction.xid, position: transaction.position)
  }

  /// Of the table with this quoted name; a word without quotes, but for *, only has the catalogue looked at. Nil when it
  /// cannot be read.
  private func rules(toldBy name: String) -> [Int]? {
    if name == "*" { return rules(of: Set(statistics.tables)) }
    guard name.utf8.first == UInt8(ascii: "\"") else { return [] }
    guard let table = try? TableName(sql: name) else { return nil }
    // A partition that was made while a DROP of it waited for its locks: the event trigger had noted no ancestors.
    return rules(of: (stream.known[table]?.tables ?? []).union([table]))
  }

  /// Without the event triggers, a table that is described otherwise than before tells of the DDL between.
  mutating func compareWithKnown(_ relation: Relation, as tables: Set<TableName>) {
    let differs = stream.known[relation.table].map { !relation.hasRows(like: $0.relation) } ?? false
    note(StreamState.KnownRelation(relation: relation, tables: tables), differs: differs)
  }

  /// Remembers how a table is described by now; one that is described otherwise, or that concerns other tables' rules
  /// than before, is a gap of theirs.
  mutating func note(_ description: StreamState.KnownRelation, differs: Bool) {
    let table = description.relation.table
    let known = stream.known[table]
    guard known != nil || statistics.place(ofOneOf: description.tables) != nil else { return }
    let position = stream.transaction?.position ?? stream.received
    var present = description
    present.position = position
    if let known {
      // A replay describes the table as it was.
      guard position >= known.position else { return }
      present.changedAt = known.changedAt
      present.changedTables = known.changedTables
      // Other tables: it was detached, or attached.
      if known.tables != present.tables || differs {
        let concerned = known.tables.union(present.tables)
        present.changedAt = position
        present.changedTables.formUnion(concerned)
        let rules = rules(of: concerned)
        conditionsMayDiffer(rules)
        if !conditions.unseen.isEmpty { queries.tell(toldChange) }
        openGap(.tableChanged, rules: rules)
      }
    }
    stream.known[table] = present
  }

  func rules(of tables: Set<TableName>) -> [Int] { rulesByTable(of: tables) }

  /// A replay describes a table as it is known by now, so that it tells nothing of a change that it brings again.
  mutating func reopenTableChanges(since start: LSN) {
    let changed = stream.known.values.filter { known in known.changedAt.map { $0 >= start } ?? false }
    let rules = rules(of: changed.reduce(into: []) { $0.formUnion($1.changedTables) })
    if !rules.isEmpty { openGap(.tableChanged, rules: rules) }
  }
}
