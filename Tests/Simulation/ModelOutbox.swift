import Invalidation

/// `cdcd.outbox` and what stands beside it: rows that the triggers wrote, of transactions that are visible or not.
final class ModelOutbox {
  struct Entry {
    var id: Int64
    var commit: Commit
    var row: OutboxRow
  }

  unowned let world: World
  private(set) var entries: [Entry] = []
  /// `cdcd.progress`.
  private(set) var removedTo: UInt64 = 0
  /// Whose session has the lock.
  weak var holder: SourceConnection?
  private var nextID: Int64 = 1
  /// Removals commit asynchronously, so that a crash may undo the last ones.
  private var undoable: [(time: Int64, entries: [Entry], removedTo: UInt64)] = []

  init(world: World) { self.world = world }

  /// The triggers of a transaction's statements ran; its commit record is in the WAL.
  func tell(_ commit: Commit) {
    for change in commit.changes where !change.isLeftOut {
      for (table, operation, content) in OutboxEncoder.rows(change) {
        if operation == .alter, world.options.mutation == .silentDDL { continue }
        if operation == .keys, world.options.mutation == .silentMessages { continue }
        let row = OutboxRow(
          id: nextID, xid: UInt32(truncatingIfNeeded: commit.xid),
          writtenAt: world.serverClock(at: commit.time),
          relation: operation == .keys ? "keys" : "\"public\".\"\(table.name)\"",
          operation: operation.rawValue,
          content: Array(content.utf8))
        entries.append(Entry(id: nextID, commit: commit, row: row))
        nextID += 1
      }
    }
  }

  /// A page of at most so many rows.
  func page(_ read: OutboxRead, flushedBefore: LSN, limit: Int) -> OutboxPage {
    let snapshot = world.postgres.snapshot()
    let asked = entries.filter { entry in
      let xid = entry.row.xid
      return entry.commit.visibleTick != nil && entry.id > read.after && read.taken?.sees(xid) != true
        && (read.within ?? snapshot).sees(xid)
    }
    // Others have written what is not durable, and may never be by itself.
    let tail: UInt64 = world.random.chance(200) ? 40 : 0
    return OutboxPage(
      flushedBefore: flushedBefore, snapshot: snapshot, writtenAfter: LSN(world.postgres.walEnd + tail),
      rows: asked.prefix(limit).map(\.row), isLast: asked.count <= limit)
  }

  func remove(_ removal: OutboxRemoval, by instance: Instance) {
    let gone = entries.filter { entry in
      entry.commit.visibleTick != nil && entry.id <= removal.upTo && removal.seenBy.sees(entry.row.xid)
    }
    for entry in gone { world.oracle.removed(entry.commit, by: instance) }
    undoable.append((world.now, gone, removedTo))
    let ids = Set(gone.map(\.id))
    entries.removeAll { ids.contains($0.id) }
    removedTo = removal.position.rawValue
    world.postgres.writeWAL(100)
  }

  /// What was removed within the last 0.6 s may come back (three times wal_writer_delay).
  func crash(undoing: (Int) -> Bool) {
    holder = nil
    while let last = undoable.last, world.now - last.time < 600 * Time.millisecond, undoing(700) {
      entries = (entries + last.entries).sorted { $0.id < $1.id }
      removedTo = last.removedTo
      undoable.removeLast()
    }
    undoable = []
  }
}

/// Writes what the triggers of `sql/outbox.sql` write.
enum OutboxEncoder {
  static func rows(_ change: Change) -> [(Table, OutboxRow.Operation, String)] {
    switch change.kind {
    case .insert: row(change, .insert, [("new", change.new)])
    case .delete: row(change, .delete, [("old", change.old)])
    case .update where change.old == change.new: row(change, .update, [("both", change.new)])
    case .update: row(change, .update, [("new", change.new), ("old", change.old)])
    case .truncate: change.tables.filter(\.isPublished).map { ($0, .truncate, "") }
    case .alter: [(change.table, .alter, "\"ALTER TABLE\"")]
    case .message:
      [(change.table, .keys, "[" + change.keys.map(Wal2jsonEncoder.quoted).joined(separator: ", ") + "]")]
    }
  }

  private static func row(
    _ change: Change, _ operation: OutboxRow.Operation, _ images: [(String, Row?)]
  ) -> [(Table, OutboxRow.Operation, String)] {
    guard change.table.isPublished else { return [] }
    let members = images.compactMap { name, row in
      row.map { "\"\(name)\": " + object($0, change.table) }
    }
    return [(change.table, operation, "[{" + members.joined(separator: ", ") + "}]")]
  }

  private static func object(_ row: Row, _ table: Table) -> String {
    let members = zip(table.columns, row.texts).map { column, text in
      "\"\(column.name)\": " + (text.map(Wal2jsonEncoder.quoted) ?? "null")
    }
    return "{" + members.joined(separator: ", ") + "}"
  }
}
