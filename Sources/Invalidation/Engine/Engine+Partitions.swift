/// Partitions come under their own names, and the rules name the table above them: the catalogue tells which it is.
extension Engine {
  /// Whether only the catalogue can tell whose rules the table concerns; also one that a rule names may be a partition.
  func mayBePartition(_ relation: Relation) -> Bool {
    !partitioned.isEmpty && !partitioned.contains(relation.table)
  }

  func reference(to relation: Relation) -> TableReference {
    configuration.mode == .wal2json ? .named(relation.table) : .identified(relation.identifier)
  }

  mutating func askForLineage(_ relation: Relation) {
    stream.unplaced = StreamState.Unplaced(relation: relation)
    askIfNeeded()
  }

  /// Keeps a message until the table before it is placed. The shell reads nothing more meanwhile, so there are few.
  mutating func hold(_ message: Span<UInt8>) {
    stream.held.append([UInt8](message))
  }

  /// The answer counts only when the catalogue shows the transaction that the table comes with: that may be the one which
  /// made or attached it, and a commit is on the wire before anybody can see it (contract 1).
  mutating func lineageArrived(_ lineage: TableLineage?, _ snapshot: TransactionSnapshot) {
    guard case .asking = queries.link else { return }
    queryAnswered()
    guard source.phase == .streaming, let unplaced = stream.unplaced else { return }
    if let xid = stream.transaction?.xid, !snapshot.sees(xid) { return askAgain(unplaced, xid) }
    stream.unplaced = nil
    let ruled = lineage?.names.intersection(statistics.tables) ?? []
    if ruled.isEmpty, lineage?.isPublished != true || mayHaveLeft(unplaced.relation, lineage) {
      bindDeparted(unplaced.relation)
    } else {
      bind(
        unplaced.relation, as: ruled.isEmpty ? [unplaced.relation.table] : ruled,
        isPartition: (lineage?.names.count ?? 0) > 1)
    }
    goOnReading()
  }

  /// It is in the stream, and by now it is gone, or no part of what is published: it was a partition, and the catalogue
  /// does not tell of which table. Its changes count for all that it fits, and the rows that left with it for a flush.
  private mutating func bindDeparted(_ relation: Relation) {
    let columns = Set(relation.columns.map(\.name))
    let known = stream.known[relation.table]?.tables.intersection(statistics.tables) ?? []
    let fitting = partitioned.filter { table in
      // wal2json describes no table.
      configuration.mode == .wal2json
        || configuration.rules.allSatisfy { $0.table != table || columns.isSuperset(of: $0.columns) }
    }
    openGap(.tableChanged, rules: rules(of: partitioned.union(known)))
    guard source.phase == .streaming else { return }
    bind(relation, as: known.isEmpty ? Set(fitting) : known)
  }

  /// wal2json tells of every table, so that one which was detached goes on in the stream. It was a partition at this change
  /// only if its description was written since.
  private func mayHaveLeft(_ relation: Relation, _ lineage: TableLineage?) -> Bool {
    guard configuration.mode == .wal2json, let xid = stream.transaction?.xid else { return false }
    guard stream.known[relation.table] == nil, let describedBy = lineage?.describedBy else { return false }
    return Int32(bitPattern: describedBy &- xid) > 0
  }

  /// A transaction that stays invisible, as behind a synchronous standby, must not hold up the others: a flush, which
  /// waits for it, covers what it did to the table, and the next transaction that writes there asks again.
  private mutating func askAgain(_ unplaced: StreamState.Unplaced, _ xid: UInt32) {
    guard unplaced.tries >= StreamState.Unplaced.limit else {
      stream.unplaced?.tries += 1
      stream.unplaced?.askAt = now.monotonic + 500_000 << Int64(unplaced.tries)
      return askIfNeeded()
    }
    stream.unplaced = nil
    let known = stream.known[unplaced.relation.table]?.tables ?? []
    openGap(.tableChanged, rules: rules(of: partitioned.union(known).union([unplaced.relation.table])))
    guard source.phase == .streaming else { return }
    let bound = BoundRelation(unplaced.relation, tables: [], rules: [])
    stream.misplaced[keep(bound, table: -1)] = .some(xid)
    goOnReading()
  }

  private mutating func goOnReading() {
    readHeld()
    for target in targets.indices { closeSmallBatch(target) }
    askIfNeeded()
  }

  /// A look at the catalogue.
  mutating func noticePartitions(_ facts: SourceFacts) {
    // wal2json tells of no attachment.
    if partitioned != facts.partitioned || partitions != facts.partitions
      || partitionTree != facts.partitionTree
    {
      forgetPlaces()
    }
    partitioned = facts.partitioned
    partitions = facts.partitions
    partitionTree = facts.partitionTree
  }

  /// DDL was told of, or found: any table may be another's partition by now, or have another name.
  mutating func forgetPlaces() {
    for index in stream.relations.indices {
      stream.tables[index] = -1
      stream.misplaced[index] = .some(nil)
    }
  }

  /// Whether the message is held until the catalogue has told of the relation that it changes.
  @discardableResult
  mutating func isHeld(_ message: Span<UInt8>, for index: Int) -> Bool {
    guard let xid = stream.misplaced[index], xid == nil || xid != stream.transaction?.xid else {
      return false
    }
    stream.misplaced[index] = nil
    hold(message)
    askForLineage(stream.relations[index].relation)
    return true
  }

  private mutating func readHeld() {
    let held = stream.held
    stream.held.removeAll()
    for (index, message) in held.enumerated() {
      guard source.phase == .streaming else { return }
      // What has just been held comes first.
      guard stream.unplaced == nil else { return stream.held.append(contentsOf: held[index...]) }
      read(message.span)
    }
  }
}
