/// Partitions come under their own names, and the rules name the root: the catalogue tells which it is.
extension Engine {
  /// Whether the stream describes a table that only the catalogue can place.
  func mayBePartition(_ relation: Relation) -> Bool {
    !partitioned.isEmpty && !statistics.tables.contains(relation.table)
  }

  mutating func askForRoot(_ relation: Relation) {
    stream.unplaced = StreamState.Unplaced(relation: relation)
    askIfNeeded()
  }

  /// Keeps a message until the table before it is placed. The shell reads nothing more meanwhile, so there are few.
  mutating func hold(_ message: Span<UInt8>) {
    var bytes: [UInt8] = []
    bytes.reserveCapacity(message.count)
    for index in message.indices { bytes.append(message[index]) }
    stream.held.append(bytes)
  }

  /// The answer counts only when the catalogue shows the transaction that the table comes with: that may be the one which
  /// made or attached it, and a commit is on the wire before anybody can see it (contract 1).
  mutating func rootArrived(_ root: TableName?, _ snapshot: TransactionSnapshot) {
    guard case .asking = queries.link else { return }
    queryAnswered()
    guard source.phase == .streaming, let unplaced = stream.unplaced else { return }
    if let xid = stream.transaction?.xid, !snapshot.sees(xid) { return askAgain(unplaced, xid) }
    stream.unplaced = nil
    if root == nil {
      // It was dropped since. All that it held has been committed by now, so one flush covers what is still to come.
      openGap(.tableChanged, rules: rules(of: partitioned))
    }
    bind(unplaced.relation, as: root ?? unplaced.relation.table)
    goOnReading()
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
    openGap(.tableChanged, rules: rules(of: partitioned))
    let bound = BoundRelation(unplaced.relation, rules: [])
    stream.provisional[keep(bound, table: -1)] = xid
    goOnReading()
  }

  private mutating func goOnReading() {
    readHeld()
    for target in targets.indices { closeSmallBatch(target) }
    askIfNeeded()
  }

  /// A change of a table that concerns no rule, as far as is known.
  mutating func unruled(_ index: Int, _ message: Span<UInt8>) {
    guard let xid = stream.provisional[index], xid != stream.transaction?.xid else { return }
    stream.provisional[index] = nil
    hold(message)
    askForRoot(stream.relations[index].relation)
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
