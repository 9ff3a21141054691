extension Engine {
  /// One CopyData payload of the replication stream: XLogData or a keepalive.
  package mutating func receive(_ message: Span<UInt8>, now: Moment) {
    self.now = now
    guard source.phase == .streaming else { return }
    source.lastMessageAt = now.monotonic
    source.hasHadMessage = true
    source.probedAt = nil
    stream.unplaced == nil ? read(message) : hold(message)
  }

  mutating func read(_ message: Span<UInt8>) {
    do {
      switch try ReplicationFrame.decode(message) {
      case .data(let serverEnd, let payload):
        if serverEnd > stream.serverEnd { stream.serverEnd = serverEnd }
        switch configuration.mode {
        case .pgoutput: try receiveData(message, at: payload)
        case .wal2json: try receiveJSON(message, at: payload)
        case .notify: break
        }
      case .keepalive(let end, let replyRequested):
        keepalive(end, replyRequested: replyRequested)
      }
    } catch {
      malformed(error.description)
    }
  }

  @inline(__always)
  private mutating func receiveData(_ message: Span<UInt8>, at payload: Int) throws(DecodeError) {
    switch try PgoutputDecoder.decode(message, at: payload, into: &stream.images) {
    case .insert(let relation): change(.insert, column: 0, relation, message)
    case .update(let relation): change(.update, column: 1, relation, message)
    case .delete(let relation): change(.delete, column: 2, relation, message)
    case .begin(let xid, let position, let commitTime):
      begin(xid: xid, position: position, commitTime: commitTime)
    case .commit(let end): commit(end)
    case .relation(let relation): place(relation)
    case .truncate(let relations): truncate(relations, message)
    case .logicalMessage("cdcd.ddl", _, let content): tableChanged(by: message.extracting(content))
    case .logicalMessage("cdcd", let isTransactional, let content):
      keysNamed(by: message.extracting(content), isTransactional: isTransactional)
    case .logicalMessage, .irrelevant: break
    }
  }

  mutating func begin(xid: UInt32, position: LSN, commitTime: Int64) {
    if stream.transaction != nil { malformed("a Begin inside a transaction") }
    stream.transaction = StreamState.Transaction(xid: xid, position: position, commitTime: commitTime)
    // Infinity, which a replication origin may say, tells nothing of when: what came before it is the better guess.
    if PostgresTimestamp.isFinite(commitTime) { stream.newestCommit = commitTime }
  }

  mutating func place(_ relation: Relation) {
    mayBePartition(relation) ? askForLineage(relation) : bind(relation, as: [relation.table])
  }

  // MARK: Changes

  @inline(__always)
  private mutating func change(
    _ operation: Operations, column: Int, _ relation: UInt32, _ message: Span<UInt8>
  ) {
    guard let index = stream.index(of: relation) else {
      return malformed("a change of the unknown relation \(relation)")
    }
    guard stream.tables[index] >= 0 else {
      isHeld(message, for: index)
      return
    }
    change(operation, column: column, index, message)
  }

  /// The images of `stream` lie in `text`.
  @inline(__always)
  mutating func change(_ operation: Operations, column: Int, _ index: Int, _ text: Span<UInt8>) {
    statistics.changes[stream.tables[index]][column] += 1
    var incomplete: [Int] = []
    for rule in rules(of: index, for: operation, text) {
      let isMistrusted =
        !bareTables.isEmpty && mistrustsOldRows(of: rule.index, in: stream.relations[index])
      let outcome = rule.render(
        operation, stream.images, of: text, mistrustingNulls: isMistrusted, into: &stream.scratch)
      if outcome == .incomplete { incomplete.append(rule.index) }
    }
    if !incomplete.isEmpty { openGap(.incompleteRow, rules: incomplete) }
    distribute()
  }

  /// Those that the change of the relation may concern.
  @inline(__always)
  private func rules(of index: Int, for operation: Operations, _ text: Span<UInt8>) -> [BoundRule] {
    // An old row that is mistrusted concerns every rule.
    guard bareTables.isEmpty, let conditionIndex = stream.relations[index].conditionIndex,
      let rules = conditionIndex.rules(for: operation, stream.images, of: text)
    else { return stream.relations[index].rules }
    return rules
  }

  /// Sends the keys in `scratch` on: into the batches, or to the barrier.
  mutating func distribute() {
    guard !stream.scratch.isEmpty else { return }
    // Moved out and back, since a part of `self` that is passed along is copied.
    var keys = KeyBuffer()
    swap(&keys, &stream.scratch)
    distribute(keys)
    keys.removeAll(keepingCapacity: true)
    swap(&keys, &stream.scratch)
  }

  @inline(__always)
  private mutating func distribute(_ keys: borrowing KeyBuffer) {
    guard let transaction = decideDestination() else { return malformed("a change outside a transaction") }
    if transaction.destination == .batches {
      addToBatches(keys, of: origin(of: transaction))
      deleteAgainLater(keys, commit: transaction.position, after: stream.received)
    } else {
      barrier.hold(keys)
      askIfNeeded()
    }
  }

  /// The present transaction with its destination; nil between two.
  private mutating func decideDestination() -> StreamState.Transaction? {
    guard stream.transaction?.destination == .undecided, let transaction = stream.transaction else {
      return stream.transaction
    }
    if barrier.isOpen(for: transaction.xid, at: now.monotonic) {
      stream.transaction?.destination = .batches
    } else {
      let number = barrier.enter(transaction, after: stream.received, at: now.monotonic)
      stream.transaction?.destination = .waiting(number)
    }
    return stream.transaction
  }

  /// The watermark does not pass the present transaction before it is visible, whether or not it has keys.
  mutating func holdUntilVisible() {
    if case .waiting? = decideDestination()?.destination { askIfNeeded() }
  }

  private func origin(of transaction: StreamState.Transaction) -> KeyOrigin {
    configuration.mode == .notify
      ? stream.outbox.origin
      : commitOrigin(xid: transaction.xid, position: transaction.position, time: transaction.commitTime)
  }

  func commitOrigin(xid: UInt32, position: LSN, time: Int64) -> KeyOrigin {
    KeyOrigin(
      kind: .commit, isReplay: targets.allSatisfy { $0.hasAcknowledged(position) }, xid: xid,
      position: position, time: time)
  }

  /// Adds keys to every target's open batch, closing those that are full.
  mutating func addToBatches(_ keys: borrowing KeyBuffer, of origin: KeyOrigin) {
    for target in targets.indices {
      if targets[target].hasRoomInOpen(for: keys) {
        targets[target].open.append(keys)
        targets[target].openOrigins.extend(to: targets[target].open.count, origin)
        continue
      }
      for index in 0..<keys.count {
        targets[target].open.append(keys, index)
        if targets[target].open.count >= RedisTarget.batchKeyLimit
          || targets[target].open.bytes.count >= RedisTarget.batchByteLimit
        {
          targets[target].openOrigins.extend(to: targets[target].open.count, origin)
          closeBatch(target)
        }
      }
      targets[target].openOrigins.extend(to: targets[target].open.count, origin)
    }
  }

  mutating func commit(_ end: LSN) {
    guard let transaction = stream.transaction else { return malformed("a Commit without a Begin") }
    stream.transaction = nil
    statistics.transactions += 1
    if end <= stream.highest { statistics.replayedTransactions += 1 }
    stream.highest = max(stream.highest, end)
    stream.received = max(stream.received, end)
    switch transaction.destination {
    case .undecided: for target in targets.indices { targets[target].ledger.append(end) }
    case .batches:
      for target in targets.indices { finish(target, transaction, end) }
    case .waiting(let number):
      barrier.commitLast()
      for target in targets.indices { targets[target].ledger.append(end, waiting: number) }
    }
    takeReplacement()
  }

  @inline(__always)
  private mutating func finish(_ target: Int, _ transaction: StreamState.Transaction, _ end: LSN) {
    targets[target].ledger.append(end)
    targets[target].endTransaction(
      committedAt: transaction.commitTime, position: transaction.position)
  }

  private mutating func keepalive(_ end: LSN, replyRequested: Bool) {
    if end > stream.serverEnd { stream.serverEnd = end }
    // Between Begin and Commit the position precedes that transaction's end, and says nothing new.
    if stream.transaction == nil, end > stream.received { reach(end) }
    if replyRequested { sendFeedback(replyRequested: false) }
  }

  /// Nothing more was changed up to here.
  mutating func reach(_ end: LSN) {
    stream.received = end
    for target in targets.indices { targets[target].ledger.append(end) }
    if awaited > settled { for target in targets.indices { closeForAwaited(target) } }
  }

  private mutating func closeForAwaited(_ target: Int) {
    targets[target].needsWatermark = true
    closeSmallBatch(target)
  }

  // MARK: Relations, TRUNCATE, and what cannot be read

  /// `tables` are the names under which the rules know it.
  mutating func bind(_ relation: Relation, as tables: Set<TableName>, isPartition: Bool = false) {
    switch configuration.mode {
    case .pgoutput: compareWithKnown(relation, as: tables)
    case .wal2json: compareWithKnown(relation.table, as: tables)
    // The catalogue alone tells of DDL.
    case .notify: break
    }
    let moving = isPartition ? tables : partitioned.union(partitions)
    let bound = BoundRelation(
      described(relation, as: tables), tables: tables, moving: moving, rules: configuration.rules,
      at: rules(of: tables), countingAsMet: conditions.countedAsMet)
    keep(bound, table: statistics.place(ofOneOf: tables) ?? -1)
    for rule in bound.rules {
      guard let problem = rule.problem, stream.reported.insert(problem).inserted else { continue }
      report(
        .error, "rule_problem", problem + " (until then its changes flush the rule's pattern)",
        rule: configuration.rules[rule.index].name)
    }
  }

  /// Answers the relation's index; `table` is that of the statistics.
  @discardableResult
  mutating func keep(_ bound: BoundRelation, table: Int) -> Int {
    stream.lastIndex = -1
    if let index = stream.indices[bound.relation.identifier] {
      stream.relations[index] = bound
      stream.tables[index] = table
      stream.misplaced[index] = nil
      return index
    }
    stream.indices[bound.relation.identifier] = stream.relations.count
    stream.relations.append(bound)
    stream.tables.append(table)
    return stream.relations.count - 1
  }

  private mutating func truncate(_ relations: [UInt32], _ message: Span<UInt8>) {
    for relation in relations {
      if let index = stream.index(of: relation), isHeld(message, for: index) { return }
    }
    relations.forEach { truncate($0) }
  }

  private mutating func truncate(_ relation: UInt32) {
    guard let index = stream.index(of: relation) else {
      return malformed("a TRUNCATE of the unknown relation \(relation)")
    }
    guard stream.tables[index] >= 0 else {
      if stream.misplaced[index] != nil { openGap(.tableChanged, rules: rules(of: partitioned)) }
      return
    }
    truncate(at: index)
  }

  mutating func truncate(at index: Int) {
    statistics.changes[stream.tables[index]][3] += 1
    let rules = stream.relations[index].rules.filter { $0.operations.contains(.truncate) }.map(\.index)
    if !rules.isEmpty { openGap(.truncate, rules: rules) }
  }

  /// Nothing may be skipped in silence: what cannot be read may have been any change.
  mutating func malformed(_ problem: String) {
    statistics.malformedMessages += 1
    if stream.reported.insert(problem).inserted {
      report(.error, "malformed_message", "a change could not be read: " + problem)
    }
    openGap(.malformedMessage, rules: Array(configuration.rules.indices))
  }
}
