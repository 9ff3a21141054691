/// The stream of wal2json: tables and columns come by name with each change, and no message describes them.
extension Engine {
  mutating func receiveJSON(_ message: Span<UInt8>, at payload: Int) throws(DecodeError) {
    try stream.named.decoder.decode(message, at: payload)
    switch stream.named.decoder.action {
    case .begin:
      guard let xid = stream.named.decoder.xid, let position = stream.named.decoder.position,
        let time = stream.named.decoder.commitTime
      else { return }
      begin(xid: xid, position: position, commitTime: time)
    case .commit: if let end = stream.named.decoder.end { commit(end) }
    case .message: logicalMessage(stream.named.decoder)
    case .insert, .update, .delete, .truncate: change(message)
    }
  }

  private mutating func logicalMessage(_ decoder: Wal2jsonDecoder) {
    guard let prefix = decoder.prefix, let content = decoder.content else { return }
    if decoder.matches(prefix, "cdcd.ddl") { tableChanged(by: decoder.text.span.extracting(content)) }
    if decoder.matches(prefix, "cdcd") {
      keysNamed(by: decoder.text.span.extracting(content), isTransactional: decoder.isTransactional)
    }
  }

  private mutating func change(_ message: Span<UInt8>) {
    guard let identifier = stream.named.identifierOfMessage() else { return }
    if stream.index(of: identifier) == nil {
      place(
        Relation(
          identifier: identifier, table: stream.named.decoder.tableName, replicaIdentity: .index, columns: [])
      )
    }
    guard let index = stream.index(of: identifier) else { return hold(message) }
    guard stream.tables[index] >= 0 else {
      isHeld(message, for: index)
      return
    }
    let action = stream.named.decoder.action
    if action == .insert || action == .update { compareColumns(identifier, index) }
    stream.named.fill(&stream.images, identifier)
    // Held beside the decoder, which is part of the Engine that changes meanwhile.
    let text = stream.named.decoder.text
    switch action {
    case .insert: change(.insert, column: 0, index, text.span)
    case .update: change(.update, column: 1, index, text.span)
    case .delete: change(.delete, column: 2, index, text.span)
    case .truncate: truncate(at: index)
    case .begin, .commit, .message: break
    }
  }

  /// The relation with the columns that the rules of `tables` read. A relation of pgoutput is what the server says.
  mutating func described(_ relation: Relation, as tables: Set<TableName>) -> Relation {
    guard configuration.mode != .pgoutput else { return relation }
    var relation = relation
    let read = rules(of: tables).map { configuration.rules[$0] }
    relation.columns = Relation.columns(read: read, of: tables)
    if configuration.mode == .wal2json {
      stream.named.read(relation.columns.map(\.name), of: relation.identifier)
    }
    return relation
  }

  // MARK: DDL

  /// What a row leaves out may be an unchanged TOAST value; only the catalogue tells that there is no such column. The
  /// changes that lack it flush the rule's pattern.
  mutating func noticeMissingColumns(_ facts: SourceFacts) {
    for (rule, _) in facts.missingColumns.sorted(by: { $0.key < $1.key })
    where missingColumns[rule] != facts.missingColumns[rule] {
      report(
        .error, "rule_problem",
        missingColumnProblem(rule, in: facts.missingColumns) + " (until then its changes flush"
          + " the rule's pattern)", rule: configuration.rules[rule].name)
    }
    missingColumns = facts.missingColumns
  }

  func missingColumnProblem(_ rule: Int, in missing: [Int: String]) -> String {
    let rule = (
      name: configuration.rules[rule].name, table: configuration.rules[rule].table?.description ?? "",
      columns: missing[rule] ?? ""
    )
    return "rule \(rule.name): table \(rule.table) has no column \(rule.columns); mend the rule, or the table"
  }

  /// The table is placed, and its columns are not known by that.
  mutating func compareWithKnown(_ table: TableName, as tables: Set<TableName>) {
    let known = stream.known[table]
    let relation =
      known?.relation ?? Relation(identifier: 0, table: table, replicaIdentity: .index, columns: [])
    note(
      StreamState.KnownRelation(relation: relation, tables: tables, isWhole: known?.isWhole ?? false),
      differs: false)
  }

  /// Rows of the same table have the same columns, unless there was DDL between.
  private mutating func compareColumns(_ identifier: UInt32, _ index: Int) {
    guard stream.named.isNews(stream.named.decoder.shape, of: identifier) else { return }
    let decoder = stream.named.decoder
    let bound = stream.relations[index]
    var present = StreamState.KnownRelation(
      relation: Relation(
        identifier: 0, table: bound.relation.table, replicaIdentity: .index,
        columns: decoder.describedColumns),
      tables: bound.tables, isWhole: decoder.action == .insert)
    guard let known = stream.known[bound.relation.table] else { return note(present, differs: false) }
    let differs = known.contradicts(present)
    if differs {
      stream.named.forgetShapes(of: identifier, but: decoder.shape)
    } else {
      present.complete(from: known)
    }
    note(present, differs: differs)
  }
}

extension StreamState.KnownRelation {
  /// Whether there was DDL between this description and a later one, either of which may lack columns.
  fileprivate func contradicts(_ later: Self) -> Bool {
    let types = Dictionary(
      relation.columns.map { ($0.name, $0.type) }, uniquingKeysWith: { first, _ in first })
    let names = Set(later.relation.columns.map(\.name))
    return later.relation.columns.contains { column in types[column.name].map { $0 != column.type } ?? isWhole
    }
      || later.isWhole && types.keys.contains { !names.contains($0) }
  }

  fileprivate mutating func complete(from earlier: Self) {
    let names = Set(relation.columns.map(\.name))
    relation.columns += earlier.relation.columns.filter { !names.contains($0.name) }
    isWhole = isWhole || earlier.isWhole
  }
}

extension Wal2jsonDecoder {
  fileprivate var describedColumns: [Relation.Column] {
    columns.map { column in
      let type = text[column.type].reduce(0x811C_9DC5 as UInt32) { ($0 ^ UInt32($1)) &* 0x0100_0193 }
      return Relation.Column(name: string(column.name), isKey: false, type: type)
    }
  }
}
