/// The outbox in place of the stream (`source.mode: notify`). A row that a snapshot sees was written by a visible
/// transaction, so that the barrier has nothing to do.
///
/// Positions. A read takes the end of the durable WAL first and its snapshot afterwards. Whatever had become visible before
/// the WAL grew beyond a position is in a snapshot taken after that, so the watermark may claim all below the end that was
/// read. (Not the end itself: that was also the end before the last commits became visible, and a snapshot does not tell
/// whether one is on its way, since it lists no transaction beyond its xmax.) It claims what was visible then: a commit that
/// waits for a synchronous standby, which nobody has seen and whose client has no answer, may lie below it. Its rows are
/// read when it becomes visible, as everybody's are.
///
/// Rows are removed when all that was read with them is settled, in one transaction with the position; a Redis whose
/// watermark is older than that has lost deletes.
extension Engine {
  /// Asks what is most needed of the connection that reads the outbox, if it is free.
  mutating func advanceOutbox() {
    guard configuration.mode == .notify, stream.outbox.link == .idle else { return }
    if let removal = removable, removalDue <= now.monotonic {
      stream.outbox.link = .removing(since: now.monotonic, upTo: removal.position)
      stream.outbox.removedAt = now.monotonic
      return emit(.removeFromOutbox(removal))
    }
    guard source.phase == .streaming else { return }
    if let due = moveDue, due <= now.monotonic {
      stream.outbox.needsMovedWAL = false
      stream.outbox.movedWALAt = now.monotonic
      stream.outbox.link = .movingWAL(since: now.monotonic)
      return emit(.moveWAL)
    }
    guard let due = readDue, due <= now.monotonic else { return touchOutbox() }
    stream.outbox.isNotified = false
    stream.outbox.link = .reading(since: now.monotonic)
    let reading = stream.outbox.reading
    emit(
      .readOutbox(
        OutboxRead(
          taken: stream.outbox.taken, within: reading?.snapshot, after: reading?.lastID ?? .min)))
  }

  private mutating func touchOutbox() {
    guard stream.outbox.answeredAt + OutboxState.touchInterval <= now.monotonic else { return }
    stream.outbox.link = .touching(since: now.monotonic)
    emit(.touchOutbox)
  }

  mutating func outboxTouched() {
    guard case .touching = stream.outbox.link else { return }
    outboxAnswered()
    advanceOutbox()
  }

  /// Of complete reads that are settled, the last one: it covers those before it.
  private var removable: OutboxRemoval? {
    guard source.phase == .streaming || isDraining else { return nil }
    return stream.outbox.unremoved.last { $0.position <= confirmed.position }
  }

  /// What is written meanwhile waits for the removal: there are few of them.
  private var removalDue: Int64 {
    isDraining ? now.monotonic : stream.outbox.removedAt + OutboxState.removalInterval
  }

  private var isDraining: Bool { if case .draining = source.phase { true } else { false } }

  /// Whether a stop has to wait until rows are removed, which would come again otherwise.
  var isOutboxBusy: Bool {
    if case .removing = stream.outbox.link { return true }
    return removable != nil
  }

  /// When something is due by time alone.
  var outboxDue: Int64? {
    if let due = stream.outbox.answerDue { return due }
    let touch = stream.outbox.answeredAt + OutboxState.touchInterval
    let removal = removable == nil ? .max : removalDue
    return min(touch, removal, readDue ?? .max, moveDue ?? .max)
  }

  private var moveDue: Int64? {
    stream.outbox.needsMovedWAL ? stream.outbox.movedWALAt + OutboxState.moveInterval : nil
  }

  /// Nil while Redis is too far behind.
  private var readDue: Int64? {
    guard wantsInput else { return nil }
    return stream.outbox.reading != nil || stream.outbox.isNotified ? now.monotonic : stream.outbox.pollAt
  }

  mutating func outboxNotified() {
    stream.outbox.isNotified = true
    advanceOutbox()
  }

  mutating func outboxRemoved() {
    guard case .removing(_, let position) = stream.outbox.link else { return }
    outboxAnswered()
    stream.outbox.unremoved.removeAll { $0.position <= position }
    advanceOutbox()
    finishDrainingIfSettled()
  }

  mutating func walMoved() {
    guard case .movingWAL = stream.outbox.link else { return }
    outboxAnswered()
    stream.outbox.isNotified = true
    advanceOutbox()
  }

  private mutating func outboxAnswered() {
    stream.outbox.link = .idle
    stream.outbox.answeredAt = now.monotonic
    source.lastMessageAt = now.monotonic
    source.hasHadMessage = true
    source.probedAt = nil
  }

  /// A question that is not answered: the server is frozen, or gone.
  mutating func runOutboxTimers() {
    if let due = stream.outbox.answerDue, due <= now.monotonic {
      emit(.closeSource)
      return sourceFailed(SourceFailure(.unavailable, "PostgreSQL did not answer a query of the outbox"))
    }
    advanceOutbox()
  }

  // MARK: Reading

  mutating func outboxRead(_ page: OutboxPage) {
    guard case .reading = stream.outbox.link else { return }
    outboxAnswered()
    guard source.phase == .streaming else {
      advanceOutbox()
      return finishDrainingIfSettled()
    }
    stream.serverEnd = max(stream.serverEnd, claim(of: page))
    if stream.outbox.reading == nil, !beginReading(page) { return advanceOutbox() }
    for row in page.rows {
      take(row)
      guard source.phase == .streaming else { return }
    }
    if let last = page.rows.last {
      stream.outbox.reading?.hasRows = true
      stream.outbox.reading?.lastID = last.id
    }
    // Replicas get what is durable, and what was visible may not be yet.
    if !replicas.isEmpty, !page.rows.isEmpty, page.writtenAfter > page.flushedBefore {
      stream.outbox.needsMovedWAL = true
    }
    if page.isLast { finishReading() }
    for target in targets.indices { closeSmallBatch(target) }
    advanceOutbox()
  }

  private func claim(of page: OutboxPage) -> LSN { LSN(max(page.flushedBefore.rawValue, 1) - 1) }

  /// False when its rows cannot be entered behind what has been settled already: a transaction that nobody could see
  /// until now lies before it. They are read again once the WAL has grown.
  private mutating func beginReading(_ page: OutboxPage) -> Bool {
    let position = claim(of: page)
    guard page.rows.isEmpty || position > stream.received else {
      stream.outbox.needsMovedWAL = true
      return false
    }
    stream.outbox.reading = OutboxState.Reading(snapshot: page.snapshot, position: position)
    guard !page.rows.isEmpty else { return true }
    // A replica that has replayed everything stands before a page's header.
    let end = page.writtenAfter.beforePageHeader
    begin(xid: 0, position: LSN(max(end.rawValue, 1) - 1), commitTime: now.wall)
    stream.transaction?.destination = .batches
    return true
  }

  private mutating func finishReading() {
    guard let reading = stream.outbox.reading else { return }
    stream.outbox.reading = nil
    stream.outbox.taken = reading.snapshot
    stream.outbox.pollAt = now.monotonic + configuration.pollInterval.wholeNanoseconds
    // On a server where nobody else writes the WAL ends where somebody waits for it.
    defer { if isProbingForAwaited { stream.outbox.needsMovedWAL = true } }
    guard reading.hasRows else {
      if reading.position > stream.received { reach(reading.position) }
      return
    }
    // A later read may end with a smaller id, and its removal covers those before it.
    let highest = max(reading.lastID, stream.outbox.unremoved.last?.upTo ?? .min)
    if stream.outbox.unremoved.count == OutboxState.unremovedLimit { stream.outbox.unremoved.removeLast() }
    stream.outbox.unremoved.append(
      OutboxRemoval(seenBy: reading.snapshot, upTo: highest, position: reading.position))
    stream.transaction = nil
    stream.highest = max(stream.highest, reading.position)
    stream.received = reading.position
    for target in targets.indices {
      targets[target].ledger.append(reading.position)
      targets[target].needsWatermark = true
    }
    takeReplacement()
  }

  // MARK: Rows

  private mutating func take(_ row: OutboxRow) {
    let isFirst = stream.outbox.reading?.meets(row.xid) ?? true
    if isFirst, row.xid != stream.outbox.lastXid {
      statistics.transactions += 1
      // What setup and DDL write stands for no key.
      if OutboxRow.Operation(rawValue: row.operation) != .alter {
        for target in targets.indices { targets[target].openCommitTimes.append(row.writtenAt) }
      }
    }
    stream.outbox.lastXid = row.xid
    stream.outbox.origin = KeyOrigin(kind: .outbox, xid: row.xid, time: row.writtenAt)
    do throws(DecodeError) {
      switch OutboxRow.Operation(rawValue: row.operation) {
      case .insert?: try change(.insert, column: 0, row)
      case .update?: try change(.update, column: 1, row)
      case .delete?: try change(.delete, column: 2, row)
      case .truncate?: if let table = try table(row.relation) { truncate(at: table.index) }
      case .alter?: tableChanged(by: try word(row.content), name: row.relation)
      case .keys?: try keysNamed(in: row)
      case .unknown?: try rowsUntold(of: row.relation, error: try word(row.content))
      case nil: throw DecodeError(problem: "an unknown op", offset: 0)
      }
    } catch {
      malformed("row \(row.id) of cdcd.outbox: " + error.description)
    }
  }

  private mutating func change(
    _ operation: Operations, column: Int, _ row: OutboxRow
  ) throws(DecodeError) {
    guard let table = try table(row.relation) else { return }
    // Its text is read while the Engine changes, so it is taken out meanwhile.
    var decoder = OutboxDecoder()
    swap(&decoder, &stream.outbox.decoder)
    defer { swap(&decoder, &stream.outbox.decoder) }
    let content = row.content.span
    decoder.begin(content)
    var cursor = JSONCursor(content)
    try cursor.take(UInt8(ascii: "["))
    if cursor.skip(UInt8(ascii: "]")) { return }
    repeat {
      try decoder.change(&cursor, columns: table.columns, into: &stream.images)
      stream.images.isUnpaired =
        operation == .update && stream.images.old.isPresent != stream.images.new.isPresent
      change(operation, column: column, table.index, decoder.text.span)
      guard source.phase == .streaming else { return }
    } while try cursor.goesOn(until: UInt8(ascii: "]"))
    try cursor.end()
  }

  /// Nil for a table without rules.
  private mutating func table(_ name: String) throws(DecodeError) -> OutboxState.Table? {
    let known = stream.outbox.tables[name]
    // After DDL it is bound anew.
    if let known, stream.tables[known.index] >= 0 { return known }
    if stream.outbox.unruled.contains(name) { return nil }
    guard let table = try? TableName(sql: name) else {
      throw DecodeError(problem: "the name of a table that cannot be read", offset: 0)
    }
    guard statistics.tables.contains(table) else {
      stream.outbox.unruled.insert(name)
      return nil
    }
    let index = known?.index ?? stream.relations.count
    bind(
      Relation(identifier: UInt32(index), table: table, replicaIdentity: .index, columns: []), as: [table])
    let bound = OutboxState.Table(
      index: index, columns: stream.relations[index].relation.columns.map { Array($0.name.utf8) })
    stream.outbox.tables[name] = bound
    return bound
  }

  /// The trigger could not tell the rows, and did not want to fail the application's statement.
  private mutating func rowsUntold(of name: String, error: String) throws(DecodeError) {
    guard let table = try table(name) else { return }
    report(
      .warning, "trigger_failed",
      "the trigger of \(name) could not tell which rows a statement changed (SQLSTATE \(error)); its rules are flushed"
    )
    openGap(.incompleteRow, rules: stream.relations[table.index].rules.map(\.index))
  }

  private func word(_ content: [UInt8]) throws(DecodeError) -> String {
    var text = content
    let span = content.span
    var cursor = JSONCursor(span)
    let range = try cursor.string(in: &text)
    return String(decoding: text[range], as: UTF8.self)
  }
}
