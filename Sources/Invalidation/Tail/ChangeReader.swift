/// Reads a replication stream for `cdcd tail`: what each message tells, and what the rules make of it.
///
/// Decoders, binding and rendering are the Engine's, so that the keys are those that the daemon deletes; there is no
/// barrier, no batch and no flush. It keeps nothing of a transaction but its beginning, whatever its size.
package struct ChangeReader {
  /// What became of a message.
  package enum Step: Sendable, Equatable {
    /// What it told; often nothing.
    case changes([StreamedChange])
    /// A message that names keys and waits for no commit, as it should: why it is refused.
    case refusedMessage(String)
    /// A keepalive, and whether the server waits for feedback.
    case keepalive(replyRequested: Bool)
    /// Nothing was taken of it: only the catalogue can tell whose rules the table concerns, once it shows the transaction
    /// with this xid. `place`, and hand the same message over again.
    case unplaced(TableReference, xid: UInt32?)
  }

  private struct Table {
    /// As the stream describes it.
    var relation: Relation
    /// Nil until it is placed.
    var bound: BoundRelation?
    /// The catalogue did not know it any more.
    var isGone = false
  }

  private let rules: [Rule]
  private let mode: SourceMode
  /// Ruled tables whose rows may move to another partition.
  private let moving: Set<TableName>
  /// By the identifier of the relation.
  private var tables: [UInt32: Table] = [:]
  private var unplaced: UInt32?
  private var named = NamedTables()
  private var images = RowImages()
  private var transaction: StreamedChange.Transaction?
  /// The end of the last whole transaction, or of a keepalive between two: what may be confirmed once it is printed.
  package private(set) var end = LSN.zero

  /// `moving` are those of the ruled tables that are partitioned, or partitions.
  package init(rules: [Rule], mode: SourceMode, moving: Set<TableName>) {
    self.rules = rules
    self.mode = mode
    self.moving = moving
  }

  /// One CopyData payload of the stream. A message that cannot be read is an error, and the next one can be.
  package mutating func read(_ message: Span<UInt8>) throws(DecodeError) -> Step {
    switch try ReplicationFrame.decode(message) {
    case .keepalive(let end, let replyRequested):
      // Between Begin and Commit the position precedes that transaction's end.
      if transaction == nil { self.end = max(self.end, end) }
      return .keepalive(replyRequested: replyRequested)
    case .data(_, let payload):
      return mode == .wal2json ? try readJSON(message, at: payload) : try readData(message, at: payload)
    }
  }

  /// Answers `Step.unplaced`; nil when the catalogue knows no such table any more.
  package mutating func place(_ lineage: TableLineage?) {
    guard let identifier = unplaced, var table = tables[identifier] else { return }
    unplaced = nil
    let ruled = (lineage?.names ?? []).intersection(rules.compactMap(\.table))
    let names = ruled.isEmpty ? [table.relation.table] : ruled
    var relation = table.relation
    if mode == .wal2json {
      relation.columns = Relation.columns(read: rules, of: names)
      named.read(relation.columns.map(\.name), of: identifier)
    }
    let isPartition = (lineage?.names.count ?? 0) > 1
    table.isGone = lineage == nil
    table.bound = BoundRelation(relation, tables: names, moving: isPartition ? names : moving, rules: rules)
    tables[identifier] = table
  }

  // MARK: pgoutput

  private mutating func readData(_ message: Span<UInt8>, at payload: Int) throws(DecodeError) -> Step {
    switch try PgoutputDecoder.decode(message, at: payload, into: &images) {
    case .begin(let xid, let position, let commitTime):
      transaction = StreamedChange.Transaction(xid: xid, position: position, commitTime: commitTime)
    case .commit(let end): commit(end)
    // It may be another table's partition by now.
    case .relation(let relation): tables[relation.identifier] = Table(relation: relation)
    case .insert(let relation): return try change(.insert, [relation], message)
    case .update(let relation): return try change(.update, [relation], message)
    case .delete(let relation): return try change(.delete, [relation], message)
    case .truncate(let relations): return try change(.truncate, relations, message)
    case .logicalMessage("cdcd.ddl", _, let content): return try definition(message.extracting(content))
    case .logicalMessage("cdcd", let isTransactional, let content):
      return keysNamed(by: message.extracting(content), isTransactional: isTransactional)
    case .logicalMessage, .irrelevant: break
    }
    return .changes([])
  }

  // MARK: wal2json

  private mutating func readJSON(_ message: Span<UInt8>, at payload: Int) throws(DecodeError) -> Step {
    try named.decoder.decode(message, at: payload)
    // A copy, since the rest changes while it is read.
    let decoder = named.decoder
    switch decoder.action {
    case .begin:
      guard let xid = decoder.xid, let position = decoder.position, let time = decoder.commitTime else {
        break
      }
      transaction = StreamedChange.Transaction(xid: xid, position: position, commitTime: time)
    case .commit: if let end = decoder.end { commit(end) }
    case .message:
      guard let prefix = decoder.prefix, let content = decoder.content else { break }
      let text = decoder.text.span.extracting(content)
      if decoder.matches(prefix, "cdcd.ddl") { return try definition(text) }
      if decoder.matches(prefix, "cdcd") {
        return keysNamed(by: text, isTransactional: decoder.isTransactional)
      }
    case .insert, .update, .delete, .truncate:
      guard let identifier = named.identifierOfMessage() else { break }
      if tables[identifier] == nil {
        let relation = Relation(
          identifier: identifier, table: decoder.tableName, replicaIdentity: .index, columns: [])
        tables[identifier] = Table(relation: relation)
      }
      named.fill(&images, identifier)
      return try change(operation(decoder.action), [identifier], decoder.text.span)
    }
    return .changes([])
  }

  private func operation(_ action: Wal2jsonDecoder.Action) -> Operations {
    switch action {
    case .insert: .insert
    case .update: .update
    case .delete: .delete
    case .truncate, .begin, .commit, .message: .truncate
    }
  }

  // MARK: What they tell

  private mutating func commit(_ end: LSN) {
    transaction = nil
    self.end = max(self.end, end)
  }

  /// The images lie in `text`.
  private mutating func change(
    _ operation: Operations, _ identifiers: [UInt32], _ text: Span<UInt8>
  ) throws(DecodeError) -> Step {
    guard let transaction else { throw DecodeError(problem: "a change outside a transaction", offset: 0) }
    var changes: [StreamedChange] = []
    for identifier in identifiers {
      guard let table = tables[identifier] else {
        throw DecodeError(problem: "a change of the unknown relation \(identifier)", offset: 0)
      }
      guard let bound = table.bound else {
        unplaced = identifier
        let reference: TableReference =
          mode == .wal2json ? .named(table.relation.table) : .identified(identifier)
        return .unplaced(reference, xid: transaction.xid)
      }
      changes.append(
        StreamedChange(
          transaction: transaction, kind: .rows(operation), table: table.relation.table,
          ruledTables: bound.tables,
          verdicts: bound.rules.map { verdict($0, operation, text) },
          mayHaveBeenPartition: table.isGone && !moving.isEmpty))
    }
    return .changes(changes)
  }

  private func verdict(_ rule: BoundRule, _ operation: Operations, _ text: Span<UInt8>) -> Explanation.Verdict
  {
    guard operation != .truncate else {
      let outcome: RuleOutcome = rule.operations.contains(.truncate) ? .incomplete : .otherOperation
      return Explanation.Verdict(rule: rule.index, outcome: outcome, keys: [])
    }
    var keys = KeyBuffer()
    let outcome = rule.render(operation, images, of: text, into: &keys)
    return Explanation.Verdict(
      rule: rule.index, outcome: outcome, keys: (0..<keys.count).map { keys[$0] }, problem: rule.problem)
  }

  /// A message of `sql/ddl-triggers.sql`: as `Engine.tableChanged(by:)` takes it.
  private mutating func definition(_ content: Span<UInt8>) throws(DecodeError) -> Step {
    guard let transaction else { throw DecodeError(problem: "DDL outside a transaction", offset: 0) }
    let parts = [UInt8](content).split(separator: UInt8(ascii: "\n"), maxSplits: 1)
      .map { String(decoding: $0, as: UTF8.self) }
    guard parts.count == 2 else {
      throw DecodeError(problem: "a message cdcd.ddl that names no table", offset: 0)
    }
    let known = tables.values.compactMap(\.bound)
    for identifier in tables.keys { tables[identifier]?.bound = nil }
    var change = StreamedChange(transaction: transaction, kind: .definition(command: parts[0]), table: nil)
    if parts[1] == "*" {
      change.ruledTables = Set(rules.compactMap(\.table))
    } else if parts[1].utf8.first == UInt8(ascii: "\""), let table = try? TableName(sql: parts[1]) {
      let places = known.filter { $0.relation.table == table }
      change.table = table
      change.ruledTables = places.reduce(into: [table]) { $0.formUnion($1.tables) }
    } else {
      // It only has the daemon look at the catalogue again.
      return .changes([])
    }
    change.verdicts = rules.indices.filter { rules[$0].concerns(change.ruledTables) }
      .map { Explanation.Verdict(rule: $0, outcome: .incomplete, keys: []) }
    return .changes([change])
  }

  /// A logical message of an application: as `Engine.keysNamed(by:)` takes it.
  private func keysNamed(by content: Span<UInt8>, isTransactional: Bool) -> Step {
    guard isTransactional, let transaction else {
      return .refusedMessage(KeyMessage.Problem.notTransactional.rawValue)
    }
    var change = StreamedChange(transaction: transaction, kind: .message, table: nil)
    guard let rule = rules.firstIndex(where: \.takesMessages) else { return .changes([change]) }
    var keys = KeyBuffer()
    var problems: [KeyMessage.Problem] = []
    KeyMessage.decode(lines: content, rule: UInt32(rule), into: &keys, &problems)
    change.verdicts = [
      Explanation.Verdict(
        rule: rule, outcome: problems.isEmpty ? .rendered : .incomplete,
        keys: (0..<keys.count).map { keys[$0] },
        problem: problems.isEmpty ? nil : problems.map(\.rawValue).joined(separator: "; "))
    ]
    return .changes([change])
  }
}
